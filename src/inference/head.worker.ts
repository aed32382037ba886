import { serve } from '../workers/worker-service';
import { createHeadHandlers } from './head-service';

serve(createHeadHandlers());
