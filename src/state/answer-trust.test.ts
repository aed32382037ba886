import { describe, expect, it } from 'vitest';
import type { CalibrationFacts } from '../contract/calibration';
import type { RunEnd, RunHeader } from '../contract/run';
import type { StatisticsClient } from '../statistics/api';
import {
  answerEntropy,
  answerIsComparable,
  answerLogProb,
  calibrationFits,
  comparisonProblem,
  tokenEntropiesQuery,
} from './answer-trust';
import type { RunSnapshot } from './run-record';

const words = ['The', ' cube', ' is', ' red', '.'];
const header = {
  model: { name: 'm', revision: 'r2' },
  head: { name: 'fastrm', revision: 'h1' },
} as unknown as RunHeader;

const map = () => ({ values: new Float32Array(576) }) as never;

function run(end: RunEnd['reason'] | undefined, over: Partial<RunHeader> = {}): RunSnapshot {
  return {
    header: { ...header, ...over } as RunHeader,
    prompt: [],
    tokens: words.map((text, index) => ({
      index,
      tokenId: index,
      text,
      word: index,
      logProb: -index,
      alternatives: [],
    })),
    states: undefined,
    mapOf: map,
    end: end && { reason: end, answerMs: 1, firstTokenMs: 1 },
  };
}

const facts: CalibrationFacts = {
  formatVersion: 1,
  model: { name: 'm', revision: 'r1', sameAs: ['r2'] },
  head: { name: 'fastrm', revision: 'h1' },
  data: { name: 'scenes', sets: [] },
  n: 100,
  createdAt: '',
  command: '',
  patches: 576,
  seed: 0,
  licence: '',
  sprites: null,
};
const known = { patches: 576, isKnownImage: true };

describe('whether an answer can be compared', () => {
  it('needs a complete answer with a map for every token', () => {
    expect(answerIsComparable(run('stop')).kind).toBe('yes');
    expect(answerIsComparable(run('length')).kind).toBe('yes');
    expect(answerIsComparable(run(undefined)).kind).toBe('waiting');
    expect(answerIsComparable(run('cancelled'))).toMatchObject({ kind: 'no', isMakeable: false });
    expect(answerIsComparable(run('stop', { head: undefined })).kind).toBe('no');
    expect(answerIsComparable({ ...run('stop'), mapOf: (index) => (index < 3 ? map() : undefined) })).toMatchObject({
      why: 'There is no map for 2 of 5 tokens, so the answer’s entropy is unknown.',
    });
  });

  it('accepts any known revision of the same weights', () => {
    expect(calibrationFits(facts, run('stop'), known).kind).toBe('yes');
    expect(calibrationFits({ ...facts, model: { ...facts.model, sameAs: [] } }, run('stop'), known).kind).toBe('no');
  });

  it('refuses another head, another number of patches, an unknown image and a table without a model', () => {
    const whys = [
      calibrationFits({ ...facts, head: { name: 'fastrm', revision: 'h0' } }, run('stop'), known),
      calibrationFits(facts, run('stop'), { ...known, patches: 1152 }),
      calibrationFits(facts, run('stop'), { ...known, isKnownImage: false }),
      calibrationFits(undefined, run('stop'), known),
    ].map((found) => (found.kind === 'no' ? found.why : found.kind));
    expect(whys[0]).toContain('h0');
    expect(whys[1]).toContain('576 patches and this answer’s have 1152');
    expect(whys[2]).toContain('your own image');
    expect(whys[3]).toContain('does not name its model');
  });
});

describe('an answer’s pooled entropy', () => {
  const nats = Float64Array.from([5, 4, 6, 2, 7]);
  const entropies = { sum: nats, kde: nats, bernoulli: nats };

  it('pools the tokens as the calibration does', () => {
    const of = (pooling: 'mean' | 'content-mean' | 'max') =>
      answerEntropy(entropies, run('stop'), { of: 'entropy', kind: 'sum', pooling });
    expect(of('mean')).toBeCloseTo(4.8);
    expect(of('content-mean')).toBeCloseTo(3); // cube, red
    expect(of('max')).toBe(7);
    expect(answerLogProb(run('stop'))).toBe(-2);
  });

  it('is NaN if the table does not name its kind of entropy', () => {
    expect(answerEntropy(entropies, run('stop'), { of: 'entropy', kind: 'given', pooling: 'mean' })).toBeNaN();
  });
});

describe('why an answer cannot be compared', () => {
  it('reports a failure or an unknown entropy, and nothing while the entropy is pending', () => {
    expect(comparisonProblem('sum', 4, new Error('There are no answers.'))).toBe(
      'The comparison failed: There are no answers.',
    );
    expect(comparisonProblem('given', Number.NaN, undefined)).toContain('does not say how its entropy was computed');
    expect(comparisonProblem('sum', Number.NaN, undefined)).toContain('not a number');
    expect(comparisonProblem('sum', 4, undefined)).toBeUndefined();
    expect(comparisonProblem(undefined, undefined, undefined)).toBeUndefined();
  });
});

describe('the entropies of an answer’s maps', () => {
  it('are requested again when FastRM has more maps, but not when another method has', () => {
    const keyOf = (fastrm: number, others: number) => {
      const mapOf: RunSnapshot['mapOf'] = (index, method = 'fastrm') =>
        index < (method === 'fastrm' ? fastrm : others) ? map() : undefined;
      return tokenEntropiesQuery({} as StatisticsClient, { ...run('stop'), mapOf }).queryKey;
    };
    expect(keyOf(3, 5)).toEqual(keyOf(3, 0));
    expect(keyOf(4, 0)).not.toEqual(keyOf(3, 0));
  });
});
