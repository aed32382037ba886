import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../random';
import { auroc, aurocInterval } from './auroc';
import fixture from './fixtures/calibration.json';

const { right, wrong } = fixture;
const rounded = (values: readonly number[]) => values.map((value) => Number(value.toFixed(1)));
const samples = { plain: { right, wrong }, tied: { right: rounded(right), wrong: rounded(wrong) } };

describe('AUROC', () => {
  it.each(['plain', 'tied'] as const)('of %s values matches SciPy’s U statistic', (name) => {
    const actual = auroc(samples[name].right, samples[name].wrong, 'below');
    // NumPy rounds halves to even; toFixed may round five-digit values that end in 5 either way.
    expect(actual).toBeCloseTo(fixture.auroc[name].value, name === 'plain' ? 12 : 3);
    expect(auroc(samples[name].right, samples[name].wrong, 'above')).toBeCloseTo(1 - actual, 12);
  });

  it('matches counting the pairs one by one', () => {
    const pairs = right.flatMap((r) => wrong.map((w) => (r < w ? 1 : r === w ? 0.5 : 0) as number));
    const expected = pairs.reduce((sum, pair) => sum + pair, 0) / pairs.length;
    expect(auroc(right, wrong, 'below')).toBeCloseTo(expected, 12);
  });

  it('ranks infinite values first or last, as SciPy does', () => {
    const numbers = (values: readonly (number | string)[]) => values.map(Number);
    const { infinite } = fixture;
    const actual = auroc(numbers(infinite.right), numbers(infinite.wrong), 'above');
    expect(actual).toBeCloseTo(infinite.auroc, 12);
  });

  it('of any values but NaN matches counting the pairs, and ends', () => {
    const value = fc.oneof(fc.constantFrom(-Infinity, Infinity, 0, -0, 1), fc.double({ noNaN: true }));
    const values = fc.array(value, { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(values, values, (rights, wrongs) => {
        const pairs = rights.flatMap((r) => wrongs.map((w) => (r < w ? 1 : r === w ? 0.5 : 0) as number));
        expect(auroc(rights, wrongs, 'below')).toBeCloseTo(pairs.reduce((a, b) => a + b) / pairs.length, 12);
        const interval = aurocInterval(rights, wrongs, 'below', { resamples: 5, seed: 1 })!;
        expect(interval.low).toBeLessThanOrEqual(interval.high);
      }),
    );
  });

  it('refuses NaN and says how many there are', () => {
    expect(() => auroc([1, Number.NaN], [2], 'below')).toThrow(
      '1 of 2 right answers’ values are NaN; leave them out first and count them.',
    );
    expect(() => aurocInterval([1], [Number.NaN], 'below', { resamples: 9, seed: 0 })).toThrow('1 of 1 wrong answers’');
  });

  it('is 0.5 if all values are equal', () => {
    expect(auroc(new Float64Array(9).fill(2), new Float64Array(4).fill(2), 'below')).toBe(0.5);
  });

  it.each(['plain', 'tied'] as const)('of %s values has the same interval as NumPy', (name) => {
    const actual = aurocInterval(samples[name].right, samples[name].wrong, 'below', { resamples: 4000, seed: 2 });
    const { low, high } = fixture.auroc[name];
    // With 4000 resamples, a 2.5 % percentile is accurate to about 4 % of half the interval.
    expect(Math.abs(actual!.low - low!)).toBeLessThan(0.06 * (high! - low!));
    expect(Math.abs(actual!.high - high!)).toBeLessThan(0.06 * (high! - low!));
  });

  it('has no interval without resamples', () => {
    const actual = aurocInterval([1, 2], [2, 3], 'below', { resamples: 0, seed: 0 });
    expect(actual).toEqual({ value: 0.875, low: Number.NaN, high: Number.NaN, right: 2, wrong: 2 });
  });

  it('is undefined or NaN if a class is empty', () => {
    expect(aurocInterval([], wrong, 'below', { resamples: 10, seed: 0 })).toBeUndefined();
    expect(auroc(right, [], 'below')).toBeNaN();
  });

  it('of a million values has an interval as wide as Hanley and McNeil’s', () => {
    const { unit } = createRandom(3);
    const rights = Float64Array.from({ length: 700_000 }, () => unit() ** 1.5);
    const wrongs = Float64Array.from({ length: 300_000 }, () => unit());
    const actual = aurocInterval(rights, wrongs, 'below', { resamples: 400, seed: 1 })!;
    // P(u^1.5 < v) for u, v uniform is the integral of v^(2/3).
    expect(actual.value).toBeCloseTo(0.6, 2);
    const a = actual.value;
    const [q1, q2] = [a / (2 - a), (2 * a * a) / (1 + a)];
    const error = Math.sqrt((a * (1 - a) + 299_999 * (q1 - a * a) + 699_999 * (q2 - a * a)) / (700_000 * 300_000));
    expect((actual.high - actual.low) / (2 * 1.96 * error)).toBeGreaterThan(0.8);
    expect((actual.high - actual.low) / (2 * 1.96 * error)).toBeLessThan(1.2);
  });
});
