import { serve } from '../workers/worker-service';
import { createActivationHandlers } from './activation-service';

serve(createActivationHandlers());
