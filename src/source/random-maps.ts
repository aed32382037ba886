import type { ExplainEvent } from '../contract/run';
import { randomMap } from '../math/random-map';
import type { ExplainRequest } from './run-source';

/** Random maps of a run's tokens, which take no model: the same for the same run and token. */
export function* explainAtRandom({ header, tokenIndices }: ExplainRequest): Generator<ExplainEvent> {
  const patches = header.geometry.frames.reduce((sum, { grid }) => sum + grid.rows * grid.cols, 0);
  let ms = 0;
  for (const tokenIndex of tokenIndices) {
    const from = performance.now();
    const values = randomMap(header.id, tokenIndex, patches);
    const computeMs = performance.now() - from;
    ms += computeMs;
    yield { type: 'map', map: { method: 'random', tokenIndex, values, backend: 'script', computeMs } };
  }
  const cost = { tokens: tokenIndices.length, ms, forwardPasses: 0, backwardPasses: 0, peakBytes: undefined };
  yield { type: 'end', reason: 'done', cost };
}
