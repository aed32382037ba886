import { expect, it } from 'vitest';
import type { RelevancyMap } from '../contract/run';
import { selectOffers } from './method-offers';
import type { RunSnapshot } from './run-record';

const run = { tokens: [{ index: 0 }, { index: 1 }] } as unknown as RunSnapshot;
const first = { mapOf: (index: number) => (index === 0 ? ({} as RelevancyMap) : undefined) };

it('does not ask for maps of FastRM that did not come with the answer', () => {
  const offered = [
    { method: 'fastrm', refusal: undefined },
    { method: 'chefer', refusal: undefined },
  ] as const;
  const [fastrm, chefer] = selectOffers(run, first, offered);
  expect([fastrm, chefer]).toEqual([
    { method: 'fastrm', refusal: undefined, canExplain: false },
    { method: 'chefer', refusal: undefined, canExplain: true },
  ]);
});
