import { type HeadJob, measureHead } from './head-times';

self.onmessage = async ({ data }: MessageEvent<HeadJob>) => {
  try {
    self.postMessage({ times: await measureHead(data) });
  } catch (error) {
    self.postMessage({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
};
