import fc from 'fast-check';
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

  it('leaves infinite values out, and says so if too few others remain', () => {
    const infinite = Float64Array.of(-Infinity, -Infinity, Infinity);
    const actual = classDensity(Float64Array.of(...values, ...infinite), 'right answers', options);
    expect(actual).toEqual(classDensity(values, 'right answers', options));
    expect(classDensity(infinite, 'right answers', options)).toEqual({
      state: 'none',
      n: 0,
      why: 'A density needs at least 5 right answers with a finite value, found 0.',
    });
  });

  it('refuses NaN', () => {
    expect(() => classDensity(Float64Array.of(1, 2, Number.NaN), 'right answers', options)).toThrow(
      '1 of 3 values of right answers are NaN',
    );
  });

  it('of any values is finite, or there is a reason why there is none', () => {
    const extreme = fc.oneof(
      fc.double({ noNaN: true }),
      fc.constantFrom(1e308, -1e308, 1e154, 3e154, 5e-324, 1e-323, 0.3, 0.3 + 2 ** -54),
    );
    fc.assert(
      fc.property(
        fc.array(extreme, { minLength: 0, maxLength: 60 }),
        fc.constantFrom(0, 20),
        fc.double({ min: 0.1, max: 4, noNaN: true }),
        (numbers, resamples, bandwidthFactor) => {
          const finite = numbers.filter(Number.isFinite);
          const [from, to] = [Math.min(0, ...finite), Math.max(0, ...finite)];
          const grid = { from, to, points: 32 };
          const actual = classDensity(Float64Array.from(numbers), 'right answers', {
            ...options,
            grid,
            resamples,
            bandwidthFactor,
          });
          if (actual.state === 'none') {
            expect(actual.why).toMatch(/\.$/);
            return;
          }
          expect(actual.n).toBe(finite.length);
          expect(actual.density.every((density) => density >= 0 && Number.isFinite(density))).toBe(true);
          if (actual.state === 'banded') expect(actual.low.every((low, i) => low <= actual.high[i]!)).toBe(true);
        },
      ),
    );
  });

  it('of values near the largest double has the shape of the same values at another scale', () => {
    const scale = 2 ** 1000;
    const grid = { from: -0.5 * scale, to: 2.5 * scale, points: 32 };
    const large = classDensity(
      values.map((value) => value * scale),
      'right answers',
      { ...options, grid },
    );
    const plain = classDensity(values, 'right answers', options);
    if (large.state !== 'banded' || plain.state !== 'banded') throw new Error(large.state);
    for (const name of ['density', 'low', 'high'] as const)
      large[name].forEach((density, i) => {
        expect(density * scale).toBeCloseTo(plain[name][i]!, 10);
      });
  });
});
