// The page's end of the head's worker: hidden states in, maps out.
import type { StateRows } from '../contract/run-rows';
import { createWorkerLink } from '../workers/worker-link';
import type { HeadLoadRequest, HeadMaps, HeadReply, HeadReport, HeadRequest } from './head-messages';
import type { LoadProgress } from './messages';

export type { HeadLoadRequest, HeadMaps, HeadReport } from './head-messages';
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
  const link = createWorkerLink<HeadRequest, HeadReply>(startWorker, onDeath);
  let images = 0;

  async function ask<Type extends HeadReply['type']>(
    requestOf: (id: number) => HeadRequest,
    wanted: Type,
    transfer: readonly Transferable[] = [],
    onProgress: (progress: LoadProgress) => void = () => {},
  ): Promise<Extract<HeadReply, { type: Type }>> {
    const { id, replies, send, close } = link.open();
    try {
      send(requestOf(id), transfer);
      for await (const reply of replies) {
        if (reply.type === 'failed') throw new Error(reply.reason);
        if (reply.type === 'progress') onProgress(reply.progress);
        else if (reply.type === wanted) return reply as Extract<HeadReply, { type: Type }>;
      }
      throw new Error("the head's worker stopped");
    } finally {
      close();
    }
  }

  return {
    async load(load, onProgress) {
      try {
        return (await ask((id) => ({ type: 'load', id, load }), 'loaded', [], onProgress)).report;
      } catch (error) {
        // A runtime that failed to start never starts again in the same worker.
        link.disconnect();
        throw error;
      }
    },
    openImage(states) {
      images += 1;
      const image = images;
      const patchStates = copyOf(states);
      const seen = ask((id) => ({ type: 'image', id, image, patchStates }), 'seen', [patchStates.values.buffer]);
      seen.catch(() => {}); // `maps` says it
      return {
        async maps(queries) {
          await seen;
          const queryStates = copyOf(queries);
          const request = (id: number) => ({ type: 'maps', id, image, queryStates }) as const;
          return (await ask(request, 'maps', [queryStates.values.buffer])).maps;
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
