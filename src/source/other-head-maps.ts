// Maps by a head besides FastRM's, from the states that were kept of a complete answer.
import type { AnswerStates, StateRows, TokenStates } from '../contract/answer-states';
import type { OtherHeadMethod } from '../contract/methods';
import type { ExplainEvent, HeadFacts } from '../contract/run';
import type { ModelClient, OtherHeadRequest } from '../inference/model-client';
import { rowOf, stacked } from './head-maps';

export interface HeadExplainRequest {
  readonly method: OtherHeadMethod;
  readonly head: HeadFacts;
  readonly states: AnswerStates;
  readonly tokenIndices: readonly number[];
}

/** All tokens at once, because two cost little more than one. No model pass is needed. */
export async function* explainByHead(
  { method, head, states: { patches, tokens }, tokenIndices }: HeadExplainRequest,
  headMaps: ModelClient['headMaps'],
  signal: AbortSignal,
): AsyncGenerator<ExplainEvent> {
  const from = performance.now();
  const end = (reason: 'done' | 'cancelled', count: number): ExplainEvent => {
    const ms = performance.now() - from;
    return {
      type: 'end',
      reason,
      cost: { tokens: count, ms, forwardPasses: 0, backwardPasses: 0, peakBytes: undefined },
    };
  };
  if (signal.aborted) return yield end('cancelled', 0);
  const explained = tokenIndices.map((index) => tokens[index]!);
  const { values, computeMs, backend } = await headMaps({
    method,
    patchStates: patches,
    queryStates: stacked(explained.map(({ query }) => query)),
    attentionLogits: method === 'fastrm-plus' ? stackedLogits(explained, patches) : undefined,
  });
  for (const [i, tokenIndex] of tokenIndices.entries()) {
    const map = { method, tokenIndex, backend, head, computeMs: computeMs / tokenIndices.length };
    yield { type: 'map', map: { ...map, values: rowOf(values, i, patches.rows) } };
  }
  yield end('done', tokenIndices.length);
}

function stackedLogits(tokens: readonly TokenStates[], { rows }: StateRows): OtherHeadRequest['attentionLogits'] {
  const data = new Float32Array(tokens.length * rows);
  for (const [i, { attentionLogits }] of tokens.entries()) {
    if (attentionLogits === undefined) throw new Error('FastRM+ needs attention, and none was kept of this answer');
    data.set(attentionLogits, i * rows);
  }
  return { data, dims: [tokens.length, rows] };
}
