import type { ExplainEvent, RelevancyMap, RunHeader } from '../contract/run';
import { patchCount } from '../contract/run-header';
import { randomMap } from '../math/methods/random-map';
import type { ExplainRequest } from './run-source';

/** Computes maps in this page, one token at a time, without any model pass. */
export async function* explainInPage(
  { tokenIndices }: ExplainRequest,
  signal: AbortSignal,
  mapOf: (tokenIndex: number) => Promise<RelevancyMap>,
): AsyncGenerator<ExplainEvent> {
  const from = performance.now();
  let tokens = 0;
  for (const tokenIndex of tokenIndices) {
    if (signal.aborted) break;
    const map = await mapOf(tokenIndex);
    tokens += 1;
    yield { type: 'map', map };
  }
  const cost = { tokens, ms: performance.now() - from, forwardPasses: 0, backwardPasses: 0, peakBytes: undefined };
  yield { type: 'end', reason: tokens === tokenIndices.length ? 'done' : 'cancelled', cost };
}

/** Random maps as a control, seeded by the run and the token. */
export function explainAtRandom(request: ExplainRequest, signal: AbortSignal): AsyncGenerator<ExplainEvent> {
  const { header } = request;
  return explainInPage(request, signal, async (tokenIndex) => {
    const from = performance.now();
    const values = randomMap(header.id, tokenIndex, patchCount(header));
    return { method: 'random', tokenIndex, values, backend: 'script', computeMs: performance.now() - from };
  });
}

/**
 * Why a run has no FastRM maps: they arrive with the answer and cannot be computed later. Undefined if the run has a
 * head.
 */
export function fastrmRefusal({ head, noHead }: RunHeader): string | undefined {
  if (head !== undefined) return undefined;
  return noHead?.reason ?? 'This answer has no FastRM maps.';
}
