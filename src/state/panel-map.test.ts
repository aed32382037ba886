import { describe, expect, it } from 'vitest';
import type { MethodId } from '../contract/methods';
import type { HeadFacts, RelevancyMap } from '../contract/run';
import { exampleHead } from '../contract/run.example';
import { agreementOf, agreementOverAnswer } from './map-agreement';
import { defaultPair, type Offer, selectOffers } from './method-offers';
import { areOfSameTokens, comparableValues, type PanelRequest, selectPanelMap, usualThresholds } from './panel-map';
import type { RunSnapshot } from './run-record';
import { selectTokenMarks } from './token-marks';

type Given = Partial<RelevancyMap> & { method: MethodId; tokenIndex: number; patches: readonly number[] };

/** A run whose maps are given as plain numbers. */
function holding(...given: readonly Given[]) {
  const maps = given.map(
    ({ patches, ...map }): RelevancyMap => ({
      values: Float32Array.from(patches),
      backend: 'wasm',
      computeMs: 2,
      ...map,
    }),
  );
  return {
    mapOf: (index: number, method: MethodId = 'fastrm') =>
      maps.find((map) => map.tokenIndex === index && map.method === method),
  };
}

const request: PanelRequest = {
  method: 'chefer',
  indices: [0],
  pool: 'mean',
  scale: 'given',
  thresholds: { classification: { fastrm: 0.5, 'fastrm-paper': 0.6, 'fastrm-plus': 0.4 }, share: 0.3 },
  frame: { first: 0, end: 4 },
};

function mapFor(record: ReturnType<typeof holding>, change: Partial<PanelRequest>) {
  const drawing = selectPanelMap(record, { ...request, ...change });
  if (drawing.kind !== 'map') throw new Error(`no map: ${drawing.reason}`);
  return drawing.map;
}
const numbers = (values: Float32Array) => Array.from(values, (value) => Math.round(value * 1000) / 1000);

describe('a panel’s map', () => {
  const record = holding(
    { method: 'chefer', tokenIndex: 0, patches: [0, 2, 4, 8] },
    { method: 'fastrm', tokenIndex: 0, patches: [0.1, 0.2, 0.4, 0.5] },
  );

  it('shows a magnitude as a share of the maximum and a probability unchanged', () => {
    expect(numbers(mapFor(record, {}).values)).toEqual([0, 0.25, 0.5, 1]);
    expect(numbers(mapFor(record, { method: 'fastrm' }).values)).toEqual([0.1, 0.2, 0.4, 0.5]);
  });

  it('can show every method as shares of the maximum or as ranks', () => {
    expect(numbers(mapFor(record, { method: 'fastrm', scale: 'share' }).values)).toEqual([0.2, 0.4, 0.8, 1]);
    expect(numbers(mapFor(record, { method: 'fastrm', scale: 'rank' }).values)).toEqual([0, 0.333, 0.667, 1]);
  });

  it('is outlined at the method’s threshold on every scale', () => {
    for (const scale of ['given', 'share', 'rank'] as const) {
      const fastrm = mapFor(record, { method: 'fastrm', scale });
      expect([numbers(fastrm.read), fastrm.threshold]).toEqual([[0.1, 0.2, 0.4, 0.5], 0.5]);
      const chefer = mapFor(record, { scale });
      expect([numbers(chefer.read), chefer.threshold]).toEqual([[0, 0.25, 0.5, 1], 0.3]);
    }
  });

  it('of another head is a probability with the threshold of that head, and names it', () => {
    const head = { name: 'fastrm-plus' } as HeadFacts;
    const other = holding({ method: 'fastrm-plus', tokenIndex: 0, patches: [0.1, 0.2, 0.4, 0.5], head });
    const plus = mapFor(other, { method: 'fastrm-plus' });
    expect([numbers(plus.values), numbers(plus.read), plus.threshold]).toEqual([
      [0.1, 0.2, 0.4, 0.5],
      [0.1, 0.2, 0.4, 0.5],
      0.4,
    ]);
    expect(plus.head).toBe(head);
  });

  it('has the thresholds of the heads until others are chosen', () => {
    const paper = { ...exampleHead, classificationThreshold: 0.55 };
    const offers = [{ method: 'fastrm-paper', head: paper }] as const;
    expect(usualThresholds({ head: exampleHead }, offers)).toEqual({
      classification: { fastrm: 0.4, 'fastrm-paper': 0.55, 'fastrm-plus': 0.5 },
      share: 0.3,
    });
  });

  it('shows one frame, with shares of the complete map’s maximum', () => {
    expect(numbers(mapFor(record, { frame: { first: 0, end: 2 } }).values)).toEqual([0, 0.25]);
  });

  it('is subtracted in shares, or in ranks if ranks are shown', () => {
    expect(numbers(comparableValues(mapFor(record, { method: 'fastrm' }), 'given'))).toEqual([0.2, 0.4, 0.8, 1]);
    const ranked = mapFor(record, { method: 'fastrm', scale: 'rank' });
    expect(numbers(comparableValues(ranked, 'rank'))).toEqual([0, 0.333, 0.667, 1]);
  });

  it('is missing without a reason if there is nothing to draw yet', () => {
    expect(selectPanelMap(record, { ...request, method: 'tam' })).toEqual({ kind: 'none', reason: undefined });
    expect(selectPanelMap(record, { ...request, indices: [] })).toEqual({ kind: 'none', reason: undefined });
  });
});

describe('several tokens’ maps as one', () => {
  const maps: Given[] = [
    { method: 'chefer', tokenIndex: 0, patches: [4, 0, 0, 0] },
    { method: 'chefer', tokenIndex: 1, patches: [2, 2, 0, 0] },
  ];
  const indices = [0, 1, 2];

  it('are the mean or the maximum of the available maps', () => {
    const mean = mapFor(holding(...maps), { indices });
    expect(numbers(mean.values)).toEqual([1, 0.333, 0, 0]);
    expect([mean.tokenIndices, mean.missing, mean.computeMs]).toEqual([[0, 1], [2], 4]);
    expect(numbers(mapFor(holding(...maps), { indices, pool: 'max' }).values)).toEqual([1, 0.5, 0, 0]);
  });

  it('are comparable only if they cover the same tokens', () => {
    const record = holding(...maps);
    const [one, both] = [mapFor(record, { indices: [0] }), mapFor(record, { indices })];
    expect([areOfSameTokens(one, both), areOfSameTokens(both, mapFor(record, { indices: [0, 1] }))]).toEqual([
      false,
      true,
    ]);
  });

  it('are weighted by DEX-AR’s grounding', () => {
    const dex = (tokenIndex: number, grounding: number): Given => ({
      method: 'dex-ar',
      tokenIndex,
      grounding,
      patches: [0, 0, 0, 1],
    });
    const weighed = mapFor(holding(...maps, dex(0, 1), dex(1, 3)), { indices: [0, 1], pool: 'grounded' });
    expect(numbers(weighed.values)).toEqual([1, 0.6, 0, 0]); // 4 * 1/4 + 2 * 3/4 = 2.5, and 2 * 3/4 = 1.5
    const none = selectPanelMap(holding(...maps, dex(0, 0), dex(1, 0)), {
      ...request,
      indices: [0, 1],
      pool: 'grounded',
    });
    expect(none).toEqual({ kind: 'none', reason: expect.stringContaining('gives each weight 0') });
  });

  it('are refused with a reason if DEX-AR has not weighed them', () => {
    const refused = selectPanelMap(holding(...maps), { ...request, indices: [0, 1], pool: 'grounded' });
    expect(refused).toEqual({ kind: 'none', reason: 'DEX-AR has no weight for 2 of these 2 tokens yet.' });
  });
});

describe('agreement', () => {
  const record = holding(
    { method: 'fastrm', tokenIndex: 0, patches: [0.1, 0.2, 0.4, 0.9] },
    { method: 'chefer', tokenIndex: 0, patches: [0, 2, 4, 8] },
    { method: 'fastrm', tokenIndex: 1, patches: [0.2, 0.2, 0.2, 0.2] },
    { method: 'chefer', tokenIndex: 1, patches: [0, 0, 0, 0] },
    { method: 'fastrm', tokenIndex: 2, patches: [1, 1, 1, 1] },
  );
  const thresholds = request.thresholds;

  it('of one token uses each method’s threshold', () => {
    const [a, b] = [mapFor(record, { method: 'fastrm' }), mapFor(record, {})];
    // FastRM has one patch at or above 0.5; Chefer has two at or above 0.3 of its maximum.
    expect(agreementOf(a, b)).toEqual({ rankCorrelation: 1, topIou: [1, 1, 1], accuracy: 0.75, f1: 2 / 3 });
  });

  it('over the answer is the mean over tokens that have both maps and a defined value', () => {
    const mean = agreementOverAnswer(record, [0, 1, 2], ['fastrm', 'chefer'], thresholds);
    expect(mean.tokens).toBe(2);
    expect(mean.rankCorrelation).toEqual({ value: 1, tokens: 1 });
    expect(mean.accuracy).toEqual({ value: 0.875, tokens: 2 });
    expect(mean.f1).toEqual({ value: 2 / 3, tokens: 1 });
  });

  it('of no tokens is undefined', () => {
    const mean = agreementOverAnswer(record, [], ['fastrm', 'chefer'], thresholds);
    expect(mean.f1).toEqual({ value: undefined, tokens: 0 });
  });
});

describe('method offers', () => {
  const tokens = [{ index: 0 }] as unknown as RunSnapshot['tokens'];

  it('keep the source’s refusals except for maps that the run already has', () => {
    const { mapOf } = holding({ method: 'fastrm', tokenIndex: 0, patches: [1] });
    const offers = selectOffers({ tokens, mapOf }, [
      { method: 'fastrm', refusal: 'No head.' },
      { method: 'tam', refusal: 'No states.' },
      { method: 'chefer', refusal: undefined },
    ]);
    const of = (method: MethodId) => offers.find((offer) => offer.method === method);
    expect(of('fastrm')).toEqual({ method: 'fastrm', refusal: undefined, canExplain: false });
    expect(of('tam')).toEqual({ method: 'tam', refusal: 'No states.', canExplain: false });
    expect(of('chefer')).toEqual({ method: 'chefer', refusal: undefined, canExplain: true });
    expect(of('rollout')?.refusal).toBeDefined();
  });

  it('default to FastRM and its teacher, or to the available methods', () => {
    const offers = (...had: MethodId[]): Offer[] =>
      (['fastrm', 'chefer', 'gradcam', 'tam'] as const).map((method) => ({
        method,
        refusal: had.includes(method) ? undefined : 'no',
        canExplain: had.includes(method),
      }));
    expect(defaultPair(offers('fastrm', 'chefer', 'tam'))).toEqual(['fastrm', 'chefer']);
    expect(defaultPair(offers('fastrm', 'tam'))).toEqual(['fastrm', 'tam']);
    expect(defaultPair(offers('chefer', 'gradcam'))).toEqual(['chefer', 'gradcam']);
    expect(defaultPair(offers('chefer', 'gradcam', 'tam')), 'no head').toEqual(['tam', 'chefer']);
    expect(defaultPair(offers('chefer'))).toEqual(['chefer', 'fastrm']);
    expect(defaultPair(offers())).toEqual(['fastrm', 'chefer']);
  });
});

describe('token marks', () => {
  const text = { prompt: Float32Array.of(2, 1), answer: Float32Array.of(1) };
  const record = holding(
    { method: 'chefer', tokenIndex: 0, patches: [3, 1], text },
    { method: 'dex-ar', tokenIndex: 0, patches: [1, 1], grounding: 0.2 },
    { method: 'dex-ar', tokenIndex: 1, patches: [1, 1], grounding: 0.1 },
  );

  it('are the image share and the grounding weight relative to the answer’s largest', () => {
    expect(selectTokenMarks(record, 2, 'chefer')).toEqual([
      { imageShare: 0.5, grounding: 1 },
      { imageShare: undefined, grounding: 0.5 },
    ]);
  });

  it('have no image share by FastRM, whose patches and words have no common total', () => {
    const fastrm = holding({ method: 'fastrm', tokenIndex: 0, patches: [3, 1], text });
    expect(selectTokenMarks(fastrm, 1, 'fastrm')[0]).toEqual({ imageShare: undefined, grounding: undefined });
  });

  it('are 0 if no token is grounded', () => {
    const none = holding({ method: 'dex-ar', tokenIndex: 0, patches: [1], grounding: 0 });
    expect(selectTokenMarks(none, 1, undefined)).toEqual([{ imageShare: undefined, grounding: 0 }]);
  });
});
