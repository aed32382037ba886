import { scaleLinear } from 'd3-scale';
import { describe, expect, it } from 'vitest';
import { bandPathData, curvePathData, nearestIndex, peakIndex } from './curve';

const unit = scaleLinear([0, 1], [0, 100]);

describe('the curve', () => {
  it('has a gap at NaN values', () => {
    const path = curvePathData([0, 0.25, 0.5, 0.75, 1], [0, 0.5, Number.NaN, 0.5, 1], unit, unit);
    expect(path).toBe('M0,0L25,50M75,50L100,100');
  });

  it('has a band between two columns, with a gap where one is NaN', () => {
    const path = bandPathData([0, 0.5, 0.75, 1], [0, 0.2, Number.NaN, 0], [0.1, 0.4, 0.5, 0], unit, unit);
    expect(path).toBe('M0,10L50,40L50,20L0,0ZM100,0L100,0Z');
  });

  it('finds its peak and the nearest point', () => {
    expect(peakIndex([0.1, Number.NaN, 0.7, 0.3])).toBe(2);
    expect(peakIndex([Number.NaN])).toBeUndefined();
    expect(nearestIndex([0, 0.5, 1], 0.74)).toBe(1);
    expect(nearestIndex([], 0.74)).toBeUndefined();
  });
});
