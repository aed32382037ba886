import { expect, it } from 'vitest';
import type { HeadFacts, RelevancyMap } from '../contract/run';
import { defaultPair, headOf, selectOffers, shownMethod } from './method-offers';
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
  const offers = selectOffers(run, offered);
  expect(offers.filter(({ method }) => method === 'fastrm' || method === 'chefer')).toEqual([
    { method: 'fastrm', refusal: undefined, canExplain: false },
    { method: 'chefer', refusal: undefined, canExplain: true },
  ]);
});

it('knows the heads of FastRM and of other methods, as far as they are known', () => {
  const [own, plus] = [{ name: 'own' }, { name: 'plus' }] as [HeadFacts, HeadFacts];
  const offers = selectOffers(run, [{ method: 'fastrm-plus', refusal: undefined, head: plus }]);
  const heads = (['fastrm', 'fastrm-plus', 'fastrm-paper', 'chefer'] as const).map((method) =>
    headOf(method, { head: own }, offers),
  );
  expect(heads).toEqual([own, plus, undefined, undefined]);
});

it('compares FastRM with its teacher, whatever other heads there are', () => {
  const offered = ['fastrm', 'fastrm-paper', 'fastrm-plus', 'chefer', 'tam'] as const;
  const offers = offered.map((method) => ({ method, refusal: undefined, canExplain: true }));
  expect(defaultPair(offers)).toEqual(['fastrm', 'chefer']);
  expect(defaultPair(offers.filter(({ method }) => method !== 'chefer'))).toEqual(['fastrm', 'fastrm-paper']);
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
