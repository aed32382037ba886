import { describe, expect, it } from 'vitest';
import type { CalibrationFacts } from '../contract/calibration';
import type { RunEnd, RunHeader } from '../contract/run';
import type { StatisticsClient } from '../statistics/api';
import {
  answerEntropy,
  answerIsComparable,
  answerLogProb,
  calibrationFits,
  tokenEntropiesQuery,
  whyUncompared,
} from './answer-trust';
import type { RunRecord, RunSnapshot } from './run-record';

const words = ['The', ' cube', ' is', ' red', '.'];
const header = {
  model: { name: 'm', revision: 'r2' },
  head: { name: 'fastrm', revision: 'h1' },
} as unknown as RunHeader;

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
    mapCount: words.length,
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
const map = () => ({ values: new Float32Array(576) }) as never;

describe('whether an answer can be compared', () => {
  it('is only a whole answer, each of whose tokens has a map', () => {
    expect(answerIsComparable(run('stop'), map).kind).toBe('yes');
    expect(answerIsComparable(run('length'), map).kind).toBe('yes');
    expect(answerIsComparable(run(undefined), map).kind).toBe('waiting');
    expect(answerIsComparable(run('cancelled'), map)).toMatchObject({ kind: 'no', isMakeable: false });
    expect(answerIsComparable(run('stop', { head: undefined }), map).kind).toBe('no');
    expect(answerIsComparable(run('stop'), (index) => (index < 3 ? map() : undefined))).toMatchObject({
      why: '2 of 5 tokens have no map, so the answer’s entropy is not known.',
    });
  });

  it('takes a model by any revision that its weights go by', () => {
    expect(calibrationFits(facts, run('stop'), known).kind).toBe('yes');
    expect(calibrationFits({ ...facts, model: { ...facts.model, sameAs: [] } }, run('stop'), known).kind).toBe('no');
  });

  it('refuses another head, another number of patches, a picture of another kind and a table of no model', () => {
    const whys = [
      calibrationFits({ ...facts, head: { name: 'fastrm', revision: 'h0' } }, run('stop'), known),
      calibrationFits(facts, run('stop'), { ...known, patches: 1152 }),
      calibrationFits(facts, run('stop'), { ...known, isKnownImage: false }),
      calibrationFits(undefined, run('stop'), known),
    ].map((found) => (found.kind === 'no' ? found.why : found.kind));
    expect(whys[0]).toContain('h0');
    expect(whys[1]).toContain('576 patches; this answer’s have 1152');
    expect(whys[2]).toContain('your own');
    expect(whys[3]).toContain('does not say of which model');
  });
});

describe('an answer’s one number', () => {
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

  it('is not known where the table does not say what it holds', () => {
    expect(answerEntropy(entropies, run('stop'), { of: 'entropy', kind: 'given', pooling: 'mean' })).toBeNaN();
  });
});

describe('why an answer is compared with none', () => {
  it('gives the reason of the failure, or that no like number is known, and is silent while it may yet come', () => {
    expect(whyUncompared('sum', 4, new Error('There are no answers.'))).toBe(
      'It could not be compared: There are no answers.',
    );
    expect(whyUncompared('given', Number.NaN, undefined)).toContain('does not say how its entropy was computed');
    expect(whyUncompared('sum', Number.NaN, undefined)).toContain('not a number');
    expect(whyUncompared('sum', 4, undefined)).toBeUndefined();
    expect(whyUncompared(undefined, undefined, undefined)).toBeUndefined();
  });
});

describe('the entropies of an answer’s maps', () => {
  it('are asked again when FastRM has more maps, and not when another method has', () => {
    const keyOf = (fastrm: number, mapCount: number) => {
      const mapOf = (index: number) => (index < fastrm ? {} : undefined);
      const record = { id: 'a', mapOf } as unknown as RunRecord;
      return tokenEntropiesQuery({} as StatisticsClient, record, { ...run('stop'), mapCount }).queryKey;
    };
    expect(keyOf(3, 8)).toEqual(keyOf(3, 3));
    expect(keyOf(4, 4)).not.toEqual(keyOf(3, 3));
  });
});
