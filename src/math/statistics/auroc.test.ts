import { describe, expect, it } from 'vitest';
import { createRandom } from '../random';
import { auroc, aurocInterval } from './auroc';
import fixture from './fixtures/calibration.json';

const { right, wrong } = fixture;
const rounded = (values: readonly number[]) => values.map((value) => Number(value.toFixed(1)));
const samples = { plain: { right, wrong }, tied: { right: rounded(right), wrong: rounded(wrong) } };

describe('AUROC', () => {
  it.each(['plain', 'tied'] as const)('of %s values is SciPy’s U', (name) => {
    const found = auroc(samples[name].right, samples[name].wrong, 'below');
    // NumPy rounds halves to even; a value of five digits that ends in 5 may lie on either side in the page.
    expect(found).toBeCloseTo(fixture.auroc[name].value, name === 'plain' ? 12 : 3);
    expect(auroc(samples[name].right, samples[name].wrong, 'above')).toBeCloseTo(1 - found, 12);
  });

  it('counts pairs one by one', () => {
    const pairs = right.flatMap((r) => wrong.map((w) => (r < w ? 1 : r === w ? 0.5 : 0) as number));
    const wanted = pairs.reduce((sum, pair) => sum + pair, 0) / pairs.length;
    expect(auroc(right, wrong, 'below')).toBeCloseTo(wanted, 12);
  });

  it('is one half where all values are the same', () => {
    expect(auroc(new Float64Array(9).fill(2), new Float64Array(4).fill(2), 'below')).toBe(0.5);
  });

  it.each(['plain', 'tied'] as const)('of %s values has NumPy’s interval', (name) => {
    const found = aurocInterval(samples[name].right, samples[name].wrong, 'below', { resamples: 4000, seed: 2 });
    const { low, high } = fixture.auroc[name];
    // A 2.5 % point of 4000 resamples is known to some 4 % of the interval's half.
    expect(Math.abs(found!.low - low!)).toBeLessThan(0.06 * (high! - low!));
    expect(Math.abs(found!.high - high!)).toBeLessThan(0.06 * (high! - low!));
  });

  it('is the value alone where no resamples are asked for', () => {
    const found = aurocInterval([1, 2], [2, 3], 'below', { resamples: 0, seed: 0 });
    expect(found).toEqual({ value: 0.875, low: Number.NaN, high: Number.NaN, right: 2, wrong: 2 });
  });

  it('is none where a class is empty', () => {
    expect(aurocInterval([], wrong, 'below', { resamples: 10, seed: 0 })).toBeUndefined();
    expect(auroc(right, [], 'below')).toBeNaN();
  });

  it('takes a million values, whose interval is as wide as Hanley and McNeil’s', () => {
    const { unit } = createRandom(3);
    const rights = Float64Array.from({ length: 700_000 }, () => unit() ** 1.5);
    const wrongs = Float64Array.from({ length: 300_000 }, () => unit());
    const found = aurocInterval(rights, wrongs, 'below', { resamples: 400, seed: 1 })!;
    // P(u^1.5 < v) for u, v uniform is the integral of v^(2/3).
    expect(found.value).toBeCloseTo(0.6, 2);
    const a = found.value;
    const [q1, q2] = [a / (2 - a), (2 * a * a) / (1 + a)];
    const error = Math.sqrt((a * (1 - a) + 299_999 * (q1 - a * a) + 699_999 * (q2 - a * a)) / (700_000 * 300_000));
    expect((found.high - found.low) / (2 * 1.96 * error)).toBeGreaterThan(0.8);
    expect((found.high - found.low) / (2 * 1.96 * error)).toBeLessThan(1.2);
  });
});
