import type { StatisticsRequest } from './messages';
import { createStatisticsService } from './statistics-service';

const service = createStatisticsService((message) => postMessage(message));
addEventListener('message', ({ data }: MessageEvent<StatisticsRequest>) => service.receive(data));
