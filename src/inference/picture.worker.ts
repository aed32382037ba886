import { serve } from '../workers/worker-service';
import { createPictureHandlers } from './picture-service';

serve(createPictureHandlers());
