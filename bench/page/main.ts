// The page that bench/run.mjs drives: hands one job at a time to the worker, where all is measured.
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

/** A fresh worker a job: memory of the wider heads is given back between them. */
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
