// The token activation worker. The maps are plain arithmetic, but an answer of a large model takes about 500 million
// multiplications: too many for the page's main thread.
import { createTokenActivations, type TokenActivations } from '../math/methods/token-activation';
import type { Handlers } from '../workers/worker-service';
import type { ActivationProtocol } from './activation-protocol';

export function createActivationHandlers(): Handlers<ActivationProtocol> {
  let opened: { readonly answer: number; readonly activations: TokenActivations } | undefined;
  function activationsOf(answer: number): TokenActivations {
    if (opened?.answer !== answer) throw new Error(`answer ${answer} is no longer open`);
    return opened.activations;
  }

  return {
    open({ answer, input }) {
      opened = undefined;
      opened = { answer, activations: createTokenActivations(input) };
      return undefined;
    },
    append({ answer, tokens }) {
      for (const token of tokens) activationsOf(answer).append(token);
      return undefined;
    },
    map({ answer, tokenIndex }, { handOver }) {
      const activations = activationsOf(answer);
      const from = performance.now();
      const map = activations.mapOf(tokenIndex);
      handOver(map.values.buffer);
      return { ...map, computeMs: performance.now() - from };
    },
  };
}
