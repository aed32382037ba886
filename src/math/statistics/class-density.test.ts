import { describe, expect, it } from 'vitest';
import { createRandom } from '../random';
import { classDensity, minForBands } from './class-density';

const { unit } = createRandom(1);
const values = Float64Array.from({ length: 200 }, () => unit() + unit());
const options = {
  grid: { from: -0.5, to: 2.5, points: 32 },
  bandwidth: undefined,
  bandwidthFactor: 1,
  resamples: 50,
  seed: 0,
};

describe('the density of a class', () => {
  it('lies within its bands', () => {
    const actual = classDensity(values, 'right answers', options);
    if (actual.state !== 'banded') throw new Error(actual.state);
    actual.density.forEach((density, i) => {
      expect(actual.low[i]).toBeLessThanOrEqual(density + 1e-9);
      expect(actual.high[i]).toBeGreaterThanOrEqual(density - 1e-9);
    });
  });

  it('has no bands below the minimum number of values', () => {
    const actual = classDensity(values.slice(0, minForBands - 1), 'right answers', options);
    expect(actual).toMatchObject({ state: 'bare', why: 'Bands need at least 30 right answers, found 29.' });
    expect(classDensity(values.slice(0, minForBands), 'right answers', options).state).toBe('banded');
  });

  it('is not estimated for an empty class, too few values, or equal values', () => {
    const why = (some: Float64Array) => {
      const actual = classDensity(some, 'wrong answers', options);
      return actual.state === 'none' ? actual.why : actual.state;
    };
    expect(why(new Float64Array())).toBe('There are no wrong answers.');
    expect(why(values.slice(0, 3))).toBe('A density needs at least 5 wrong answers, found 3.');
    expect(why(new Float64Array(60).fill(1 / 3))).toBe('All 60 wrong answers have the same value, 0.3333.');
  });

  it('is estimated for equal values if a bandwidth is set', () => {
    const actual = classDensity(new Float64Array(60).fill(1), 'right answers', { ...options, bandwidth: 0.2 });
    if (actual.state !== 'banded') throw new Error(actual.state);
    // All resamples are identical.
    expect(actual.low).toEqual(actual.high);
  });
});
