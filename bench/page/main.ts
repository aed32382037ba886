// The page that bench/run.mjs drives: it runs one job at a time, in a worker.
import { type ExplainJob, type ExplainTimes, measureExplain } from './explain-times';
import type { HeadJob, HeadTimes } from './head-times';
import { measureStatistics, type StatisticsJob, type StatisticsTimes } from './statistics-times';

type Reply = { readonly times: HeadTimes } | { readonly error: string };

declare global {
  interface Window {
    measureHead(job: Omit<HeadJob, 'graphsUrl'>): Promise<HeadTimes>;
    measureExplain(job: ExplainJob): Promise<ExplainTimes>;
    measureStatistics(job: StatisticsJob): Promise<StatisticsTimes>;
  }
}

window.measureStatistics = measureStatistics;

/** Starts a new worker for each job, so that the memory of a wide head is freed before the next job. */
window.measureHead = (job) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./head-worker.ts', import.meta.url), { type: 'module' });
    worker.onerror = (event) => reject(new Error(event.message));
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      worker.terminate();
      if ('times' in data) resolve(data.times);
      else reject(new Error(data.error));
    };
    const graphsUrl = new URL(`graphs/${job.hiddenSize}/`, document.baseURI).href;
    worker.postMessage({ ...job, graphsUrl } satisfies HeadJob);
  });

window.measureExplain = ({ modelUrl, ...job }) =>
  measureExplain({ ...job, modelUrl: new URL(modelUrl, document.baseURI).href });
