import { expect, it } from 'vitest';
import type { RelevancyMap } from '../contract/run';
import { selectOffers } from './method-offers';
import type { RunSnapshot } from './run-record';

/** A run whose first token has a map. */
const run = {
  tokens: [{ index: 0 }, { index: 1 }],
  mapOf: (index: number) => (index === 0 ? ({} as RelevancyMap) : undefined),
} as unknown as RunSnapshot;

it('does not request FastRM maps that did not arrive with the answer', () => {
  const offered = [
    { method: 'fastrm', refusal: undefined },
    { method: 'chefer', refusal: undefined },
  ] as const;
  const [fastrm, chefer] = selectOffers(run, offered);
  expect([fastrm, chefer]).toEqual([
    { method: 'fastrm', refusal: undefined, canExplain: false },
    { method: 'chefer', refusal: undefined, canExplain: true },
  ]);
});
