import { scaleLinear } from 'd3-scale';
import { describe, expect, it } from 'vitest';
import { barsPathData, binAt, maxCounts, stepsPathData } from './histogram';

const x = scaleLinear([0, 4], [0, 400]);
const y = scaleLinear([-10, 10], [200, 0]);
const edges = [0, 1, 2, 3, 4];

/** The left edge of every bar, and its top (or its bottom, for a downward bar). */
const bars = (path: string) =>
  [...path.matchAll(/M([\d.]+) [\d.]+h[\d.]+V([\d.]+)/g)].map((m) => [Number(m[1]), Number(m[2])]);

describe('the histogram', () => {
  it('draws a bar for each non-empty bin, upwards or downwards from the baseline', () => {
    expect(bars(barsPathData(edges, [5, 0, 10, 1], x, y))).toEqual([
      [0, 50],
      [200, 0],
      [300, 90],
    ]);
    expect(bars(barsPathData(edges, [5, 0, 10, 1], x, y, { sign: -1 }))).toEqual([
      [0, 150],
      [200, 200],
      [300, 110],
    ]);
  });

  it('draws nothing for an empty class', () => {
    expect(barsPathData(edges, [0, 0, 0, 0], x, y)).toBe('');
    expect(maxCounts({ right: [], wrong: [0, 0] })).toEqual({ right: 0, wrong: 0 });
  });

  it('outlines all bins with one line that starts and ends on the baseline', () => {
    const path = stepsPathData(edges, [1, 2, 0, 4], x, y);
    expect(path.startsWith('M0 100')).toBe(true);
    expect(path.endsWith('H400V100')).toBe(true);
  });

  it('finds the bin of a value; the last bin includes its upper edge', () => {
    expect([0, 0.99, 1, 3.5, 4].map((value) => binAt(edges, value))).toEqual([0, 0, 1, 3, 3]);
    expect([-0.1, 4.1, Number.NaN].map((value) => binAt(edges, value))).toEqual([undefined, undefined, undefined]);
  });
});
