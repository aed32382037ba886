// The page's end of the head's worker: hidden states in, maps out.
import type { StateRows } from '../contract/run-rows';
import { createWorkerLink } from '../workers/worker-link';
import type { HeadLoadRequest, HeadMaps, HeadQuestions, HeadReport } from './head-questions';
import type { LoadProgress } from './load-progress';

export type { HeadMaps, HeadReport } from './head-questions';
export type { LoadProgress } from './load-progress';
export type { BackendChoice } from './runtime';

export interface HeadClient {
  load(request: HeadLoadRequest, onProgress: (progress: LoadProgress) => void): Promise<HeadReport>;
  /** The image's patches [P, d]; maps are then made over them until another image comes. Both copy the states. */
  openImage(patchStates: StateRows): HeadImage;
  destroy(): void;
}

export interface HeadImage {
  /** Rejects once another image has taken this one's place. */
  maps(queryStates: StateRows): Promise<HeadMaps>;
}

const startWorker = () => new Worker(new URL('./head.worker.ts', import.meta.url), { type: 'module' });

/** `onDeath`: the worker is gone, and the head with it. */
export function createHeadClient(onDeath: (reason: string) => void): HeadClient {
  const link = createWorkerLink<HeadQuestions>(startWorker, { onDeath });
  let images = 0;
  return {
    load: (request, onProgress) => link.disconnectOnFailure(() => link.ask('load', request, { onEvent: onProgress })),
    openImage(states) {
      images += 1;
      const image = images;
      const patchStates = copyOf(states);
      const seen = link.ask('image', { image, patchStates }, { transfer: [patchStates.values.buffer] });
      seen.catch(() => {}); // `maps` rejects with it
      return {
        async maps(queries) {
          await seen;
          const queryStates = copyOf(queries);
          return link.ask('maps', { image, queryStates }, { transfer: [queryStates.values.buffer] });
        },
      };
    },
    destroy: link.disconnect,
  };
}

/** Out of the stream's buffer, which holds more than these states. */
function copyOf({ values, rows, cols }: StateRows) {
  return { values: values.slice() as Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer>, rows, cols };
}
