import { serve } from '../workers/worker-service';
import { createStatisticsHandlers } from './statistics-service';

serve(createStatisticsHandlers());
