import { expect, it } from 'vitest';
import type { HeadFacts, RelevancyMap } from '../contract/run';
import { selectOffers, shownMethod } from './method-offers';
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

it('shows FastRM if the answer has a head, otherwise TAM, unless another available method is chosen', () => {
  const offer = (method: 'fastrm' | 'tam' | 'chefer', refusal?: string) => ({ method, refusal, canExplain: true });
  const offers = [offer('fastrm'), offer('chefer'), offer('tam', 'Not here.')];
  const head = {} as HeadFacts;
  expect(shownMethod(null, { head }, offers, true)).toBe('fastrm');
  expect(shownMethod(null, { head: undefined }, offers, true), 'even if it is refused').toBe('tam');
  expect(shownMethod('chefer', { head }, offers, true)).toBe('chefer');
  expect(shownMethod('tam', { head }, offers, true)).toBe('fastrm');
  expect(shownMethod('tam', { head }, offers, false), 'while the model loads').toBe('tam');
});
