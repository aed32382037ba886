// The page's side of the head's worker: hidden states in, maps out.
import type { StateRows } from '../contract/answer-states';
import { createWorkerLink } from '../workers/worker-link';
import type { HeadLoadRequest, HeadMaps, HeadProtocol, HeadReport } from './head-protocol';
import type { LoadProgress } from './load-progress';
import { watchLoad } from './watched-load';

export type { HeadReport } from './head-protocol';
export type { LoadProgress } from './load-progress';
export type { BackendChoice } from './runtime';

export interface LoadedHead extends HeadReport {
  /** Whether starting several threads stalled, so that the head runs on one. */
  readonly isRestarted: boolean;
}

export interface HeadClient {
  load(request: HeadLoadRequest, onProgress: (progress: LoadProgress) => void): Promise<LoadedHead>;
  /** Sets the image's patch states [P, d], replacing the previous image. Copies the states, as the image's methods do. */
  openImage(patchStates: StateRows): HeadImage;
  destroy(): void;
}

interface HeadImage {
  /** Sets the states [m, d] of the prompt's text tokens, for a head that also weighs these. */
  setPrompt(promptStates: StateRows): void;
  /** Rejects once another image has been opened. */
  maps(queryStates: StateRows): Promise<HeadMaps>;
}

const startWorker = () => new Worker(new URL('./head.worker.ts', import.meta.url), { type: 'module' });

/** `onDeath` is called when the worker dies, which loses the head. */
export function createHeadClient(onDeath: (reason: string) => void): HeadClient {
  const link = createWorkerLink<HeadProtocol>(startWorker, { onDeath });
  let images = 0;
  return {
    load: (request, onProgress) =>
      link.disconnectOnFailure(async () => {
        const { loaded, isRestarted } = await watchLoad(
          (maxThreads, onEvent) => link.request('load', { ...request, ...(maxThreads && { maxThreads }) }, { onEvent }),
          link.disconnect,
          onProgress,
        );
        return { ...loaded, isRestarted };
      }),
    openImage(states) {
      images += 1;
      const image = images;
      const patchStates = copyOf(states);
      const opened = link.request('image', { image, patchStates }, { transfer: [patchStates.values.buffer] });
      let ready: Promise<unknown> = opened;
      ready.catch(() => {}); // `maps` rejects with the same error
      return {
        setPrompt(states) {
          const promptStates = copyOf(states);
          const prompted = link.request('prompt', { image, promptStates }, { transfer: [promptStates.values.buffer] });
          ready = Promise.all([opened, prompted]);
          ready.catch(() => {});
        },
        async maps(queries) {
          await ready;
          const queryStates = copyOf(queries);
          return link.request('maps', { image, queryStates }, { transfer: [queryStates.values.buffer] });
        },
      };
    },
    destroy: link.disconnect,
  };
}

/** Copies the states, because the stream's buffer holds more than these and must not be transferred. */
function copyOf({ values, rows, cols }: StateRows) {
  return { values: values.slice() as Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer>, rows, cols };
}
