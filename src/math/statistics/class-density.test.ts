import { describe, expect, it } from 'vitest';
import { createRandom } from '../random';
import { classDensity, leastForBands } from './class-density';

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
  it('has bands around it', () => {
    const found = classDensity(values, 'right answers', options);
    if (found.state !== 'banded') throw new Error(found.state);
    found.density.forEach((density, i) => {
      expect(found.low[i]).toBeLessThanOrEqual(density + 1e-9);
      expect(found.high[i]).toBeGreaterThanOrEqual(density - 1e-9);
    });
  });

  it('has no bands below a stated number of samples', () => {
    const found = classDensity(values.slice(0, leastForBands - 1), 'right answers', options);
    expect(found).toMatchObject({ state: 'bare', why: 'There are 29 right answers; bands need at least 30.' });
    expect(classDensity(values.slice(0, leastForBands), 'right answers', options).state).toBe('banded');
  });

  it('is none for an empty class, a handful, or values that are all the same', () => {
    const why = (some: Float64Array) => {
      const found = classDensity(some, 'wrong answers', options);
      return found.state === 'none' ? found.why : found.state;
    };
    expect(why(new Float64Array())).toBe('There are no wrong answers.');
    expect(why(values.slice(0, 3))).toBe('There are 3 wrong answers; a density needs at least 5.');
    expect(why(new Float64Array(60).fill(1 / 3))).toBe('All 60 wrong answers have the same value, 0.3333.');
  });

  it('of equal values is drawn where a bandwidth is given', () => {
    const found = classDensity(new Float64Array(60).fill(1), 'right answers', { ...options, bandwidth: 0.2 });
    if (found.state !== 'banded') throw new Error(found.state);
    // Every resample is the same.
    expect(found.low).toEqual(found.high);
  });
});
