// The page's side of the token activation worker: an answer's states in, its tokens' maps out.
import type { TokenActivationInput } from '../math/methods/token-activation';
import { createWorkerLink } from '../workers/worker-link';
import type { ActivationProtocol, TimedActivationMap } from './activation-protocol';

export interface ActivationClient {
  /** Opens an answer and closes the previous one. The states are transferred, not copied. */
  open(input: TokenActivationInput): OpenActivations;
  destroy(): void;
}

export interface OpenActivations {
  /** Rejects once another answer has been opened. */
  mapOf(tokenIndex: number): Promise<TimedActivationMap>;
}

const startWorker = () => new Worker(new URL('./activation.worker.ts', import.meta.url), { type: 'module' });

/** `onDeath` is called when the worker dies, which loses the open answer. */
export function createActivationClient(onDeath: (reason: string) => void): ActivationClient {
  const link = createWorkerLink<ActivationProtocol>(startWorker, { onDeath, owner: 'token activation' });
  let answers = 0;
  return {
    open(input) {
      answers += 1;
      const answer = answers;
      const states = [input.patchStates, input.promptStates, input.queryStates];
      const transfer = states.map(({ buffer }) => buffer as ArrayBuffer);
      const opened = link.request('open', { answer, input }, { transfer });
      opened.catch(() => {}); // `mapOf` rejects with the same error
      return {
        async mapOf(tokenIndex) {
          await opened;
          return link.request('map', { answer, tokenIndex });
        },
      };
    },
    destroy: link.disconnect,
  };
}
