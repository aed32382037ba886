import { serve } from '../workers/worker-service';
import { createModelHandlers } from './model-service';

serve(createModelHandlers(), { isConcurrent: true });
