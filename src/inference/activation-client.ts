// The page's end of the worker of token activation maps: an answer's states in, maps of its tokens out.
import type { TokenActivationInput } from '../math/methods/token-activation';
import { createWorkerLink } from '../workers/worker-link';
import type { ActivationQuestions, MadeActivationMap } from './activation-questions';

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

/** `onDeath`: the worker is gone, and what was open with it. */
export function createActivationClient(onDeath: (reason: string) => void): ActivationClient {
  const link = createWorkerLink<ActivationQuestions>(startWorker, { onDeath, whose: 'token activation' });
  let answers = 0;
  return {
    open(input) {
      answers += 1;
      const answer = answers;
      const states = [input.patchStates, input.promptStates, input.queryStates];
      const transfer = states.map(({ buffer }) => buffer as ArrayBuffer);
      const opened = link.ask('open', { answer, input }, { transfer });
      opened.catch(() => {}); // `mapOf` rejects with it
      return {
        async mapOf(tokenIndex) {
          await opened;
          return link.ask('map', { answer, tokenIndex });
        },
      };
    },
    destroy: link.disconnect,
  };
}
