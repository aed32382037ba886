import { scaleLinear } from 'd3-scale';
import { describe, expect, it } from 'vitest';
import { countTicks, formatShortCount, ticksOf } from './axis';

describe('the axis', () => {
  it('has ticks about as far apart as requested, inside its range, with distinct labels', () => {
    const ticks = ticksOf(scaleLinear([4.1, 5.9], [40, 640]), 100);
    expect(ticks.length).toBeGreaterThanOrEqual(4);
    expect(ticks.length).toBeLessThanOrEqual(12);
    expect(new Set(ticks.map(({ label }) => label)).size).toBe(ticks.length);
    for (const { atPx } of ticks) {
      expect(atPx).toBeGreaterThanOrEqual(40);
      expect(atPx).toBeLessThanOrEqual(640);
    }
  });

  it('has ticks only at whole numbers for counts, even small ones', () => {
    expect(countTicks(scaleLinear([0, 2], [200, 0]), 20).map(({ value }) => value)).toEqual([0, 1, 2]);
  });

  it('abbreviates thousands', () => {
    expect([950, 1200, 12_345, 1_500_000].map(formatShortCount)).toEqual(['950', '1.2k', '12k', '1.5M']);
  });
});
