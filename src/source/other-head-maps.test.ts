import { describe, expect, it } from 'vitest';
import type { AnswerStates } from '../contract/answer-states';
import type { ExplainEvent } from '../contract/run';
import { exampleHead } from '../contract/run.example';
import type { OtherHeadRequest } from '../inference/model-client';
import { explainByHead } from './other-head-maps';

const halfs = (rows: number, fill: number) => ({ values: new Uint16Array(4 * rows).fill(fill), rows, cols: 4 });
const states: AnswerStates = {
  patches: halfs(2, 9),
  tokens: [0, 1, 2].map((index) => ({
    query: halfs(1, index),
    attentionLogits: Float32Array.of(index, -index),
  })),
};
const request = { method: 'fastrm-plus', head: exampleHead, states, tokenIndices: [2, 0] } as const;

/** Its maps are the attention logits, or zeros. */
function headHere() {
  const requests: OtherHeadRequest[] = [];
  const headMaps = async (asked: OtherHeadRequest) => {
    requests.push(asked);
    const values = asked.attentionLogits?.data ?? new Float32Array(2 * asked.queryStates.rows);
    return { values, computeMs: 6, backend: 'wasm' as const };
  };
  return { headMaps, requests };
}

async function collect(events: AsyncIterable<ExplainEvent>): Promise<ExplainEvent[]> {
  const all: ExplainEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

describe('maps by another head', () => {
  it('come from the states of the requested tokens, at once and without a model pass', async () => {
    const { headMaps, requests } = headHere();
    const events = await collect(explainByHead(request, headMaps, new AbortController().signal));
    expect(requests).toEqual([
      {
        method: 'fastrm-plus',
        patchStates: states.patches,
        queryStates: { values: Uint16Array.of(2, 2, 2, 2, 0, 0, 0, 0), rows: 2, cols: 4 },
        attentionLogits: { data: Float32Array.of(2, -2, 0, -0), dims: [2, 2] },
      },
    ]);
    const map = { method: 'fastrm-plus', backend: 'wasm', head: exampleHead, computeMs: 3 };
    expect(events).toMatchObject([
      { type: 'map', map: { ...map, tokenIndex: 2, values: Float32Array.of(2, -2) } },
      { type: 'map', map: { ...map, tokenIndex: 0, values: Float32Array.of(0, -0) } },
      { type: 'end', reason: 'done', cost: { tokens: 2, forwardPasses: 0, backwardPasses: 0 } },
    ]);
  });

  it('need attention for FastRM+ only', async () => {
    const { headMaps, requests } = headHere();
    const bare = { ...states, tokens: states.tokens.map(({ query }) => ({ query })) };
    const { signal } = new AbortController();
    await collect(explainByHead({ ...request, method: 'fastrm-paper', states: bare }, headMaps, signal));
    expect(requests[0]?.attentionLogits).toBeUndefined();
    await expect(collect(explainByHead({ ...request, states: bare }, headMaps, signal))).rejects.toThrow(
      'FastRM+ needs attention',
    );
  });

  it('are not computed once the request is aborted', async () => {
    const { headMaps, requests } = headHere();
    const events = await collect(explainByHead(request, headMaps, AbortSignal.abort()));
    expect(events).toMatchObject([{ type: 'end', reason: 'cancelled', cost: { tokens: 0 } }]);
    expect(requests).toEqual([]);
  });
});
