// Token activation maps behind their worker's messages: open -> opened; map -> map; each may end in failed. They are
// plain arithmetic, some 500 million products for an answer of a large model: too much for the page's own thread.
import { createTokenActivations, type TokenActivations } from '../math/methods/token-activation';
import type { ActivationReply, ActivationRequest } from './activation-messages';

export function createActivationService(reply: (message: ActivationReply) => void) {
  let opened: { readonly answer: number; readonly activations: TokenActivations } | undefined;

  function answer(request: ActivationRequest): ActivationReply {
    const { id } = request;
    switch (request.type) {
      case 'open':
        opened = undefined;
        opened = { answer: request.answer, activations: createTokenActivations(request.input) };
        return { type: 'opened', id };
      case 'map': {
        if (opened?.answer !== request.answer) throw new Error(`answer ${request.answer} is not at hand any more`);
        const from = performance.now();
        const map = opened.activations.mapOf(request.tokenIndex);
        return { type: 'map', id, map: { ...map, computeMs: performance.now() - from } };
      }
    }
  }

  return {
    receive(request: ActivationRequest): void {
      try {
        reply(answer(request));
      } catch (error) {
        reply({ type: 'failed', id: request.id, reason: error instanceof Error ? error.message : String(error) });
      }
    },
  };
}
