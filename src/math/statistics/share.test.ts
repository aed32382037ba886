import { describe, expect, it } from 'vitest';
import fixture from './fixtures/calibration.json';
import { shareOf } from './share';

describe('shares', () => {
  it.each(fixture.shares)('$hits of $n has SciPy’s Wilson interval', ({ hits, n, low, high }) => {
    const found = shareOf(hits, n);
    expect(found.value).toBe(hits / n);
    expect(found.low).toBeCloseTo(low, 12);
    expect(found.high).toBeCloseTo(high, 12);
  });

  it('of nothing may be anything', () => {
    expect(shareOf(0, 0)).toEqual({ hits: 0, n: 0, value: Number.NaN, low: 0, high: 1 });
  });
});
