import { describe, expect, it } from 'vitest';
import fixture from './fixtures/calibration.json';
import { shareOf } from './share';

describe('shares', () => {
  it.each(fixture.shares)('$hits of $n has the same Wilson interval as SciPy', ({ hits, n, low, high }) => {
    const actual = shareOf(hits, n);
    expect(actual.value).toBe(hits / n);
    expect(actual.low).toBeCloseTo(low, 12);
    expect(actual.high).toBeCloseTo(high, 12);
  });

  it('are NaN with the interval 0 to 1 if n is 0', () => {
    expect(shareOf(0, 0)).toEqual({ hits: 0, n: 0, value: Number.NaN, low: 0, high: 1 });
  });
});
