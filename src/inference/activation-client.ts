// The page's end of the worker of token activation maps: an answer's states in, maps of its tokens out.
import type { TokenActivationInput } from '../math/methods/token-activation';
import { createWorkerLink } from '../workers/worker-link';
import type { ActivationReply, ActivationRequest, MadeActivationMap } from './activation-messages';

export type { MadeActivationMap } from './activation-messages';

export interface ActivationClient {
  /** An answer whose tokens are explained until another takes its place. The states are handed over, not copied. */
  open(input: TokenActivationInput): OpenActivations;
  destroy(): void;
}

export interface OpenActivations {
  /** Rejects once another answer has taken this one's place. */
  mapOf(tokenIndex: number): Promise<MadeActivationMap>;
}

const startWorker = () => new Worker(new URL('./activation.worker.ts', import.meta.url), { type: 'module' });

/** The worker starts with the first answer. `onDeath`: it is gone, and what was open with it. */
export function createActivationClient(onDeath: (reason: string) => void): ActivationClient {
  const link = createWorkerLink<ActivationRequest, ActivationReply>(startWorker, onDeath, 'token activation');
  let answers = 0;

  async function ask<Type extends ActivationReply['type']>(
    requestOf: (id: number) => ActivationRequest,
    wanted: Type,
    transfer: readonly Transferable[] = [],
  ): Promise<Extract<ActivationReply, { type: Type }>> {
    const { id, replies, send, close } = link.open();
    try {
      send(requestOf(id), transfer);
      for await (const reply of replies) {
        if (reply.type === 'failed') throw new Error(reply.reason);
        if (reply.type === wanted) return reply as Extract<ActivationReply, { type: Type }>;
      }
      throw new Error('the worker of token activation maps stopped');
    } finally {
      close();
    }
  }

  return {
    open(input) {
      answers += 1;
      const answer = answers;
      const states = [input.patchStates, input.promptStates, input.queryStates];
      const buffers = states.map(({ buffer }) => buffer as ArrayBuffer);
      const opened = ask((id) => ({ type: 'open', id, answer, input }), 'opened', buffers);
      opened.catch(() => {}); // `mapOf` says it
      return {
        async mapOf(tokenIndex) {
          await opened;
          return (await ask((id) => ({ type: 'map', id, answer, tokenIndex }), 'map')).map;
        },
      };
    },
    destroy: link.disconnect,
  };
}
