// The page's side of the token activation worker: an answer's states in, its tokens' maps out.
import type { ActivationToken, TokenActivationInput } from '../math/methods/token-activation';
import { createWorkerLink } from '../workers/worker-link';
import type { ActivationProtocol, TimedActivationMap } from './activation-protocol';

export interface ActivationClient {
  /** Opens an answer and closes the previous one. The states are transferred, not copied. */
  open(input: TokenActivationInput): OpenActivations;
  destroy(): void;
}

export interface OpenActivations {
  /** Appends the answer's next tokens. Their query states are transferred, not copied. */
  append(tokens: readonly ActivationToken[]): void;
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
      const opened = link.request(
        'open',
        { answer, input },
        { transfer: buffersOf(input.patchStates, input.promptStates) },
      );
      let sent = checkedLater(opened);
      return {
        append(tokens) {
          const transfer = buffersOf(...tokens.map(({ queryState }) => queryState));
          sent = checkedLater(Promise.all([sent, link.request('append', { answer, tokens }, { transfer })]));
        },
        async mapOf(tokenIndex) {
          await sent;
          return link.request('map', { answer, tokenIndex });
        },
      };
    },
    destroy: link.disconnect,
  };
}

function buffersOf(...states: Float32Array[]): ArrayBuffer[] {
  return states.map(({ buffer }) => buffer as ArrayBuffer);
}

/** `mapOf` rejects with the promise's error. */
function checkedLater(promise: Promise<unknown>): Promise<unknown> {
  promise.catch(() => {});
  return promise;
}
