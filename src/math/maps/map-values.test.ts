import { describe, expect, it } from 'vitest';
import { averageMaps, countAtOrAbove, countBins, ranksDescending, summariseMap } from './map-values';

const map = (...values: number[]) => Float32Array.from(values);

describe('maps as numbers', () => {
  it('averages patch by patch', () => {
    expect(averageMaps([map(0, 0.5, 1), map(1, 0.5, 0.5)])).toEqual(map(0.5, 0.5, 0.75));
    expect(averageMaps([])).toBeUndefined();
  });

  it('refuses to average maps of two grids', () => {
    expect(() => averageMaps([map(0, 1), map(1)])).toThrow('2 and 1');
  });

  it('leaves the maps that it averages as they were', () => {
    const one = map(0.25, 0.75);
    averageMaps([one, map(1, 1)]);
    expect(one).toEqual(map(0.25, 0.75));
  });

  it('ranks from the greatest, ties sharing the better rank', () => {
    expect([...ranksDescending(map(0.1, 0.9, 0.5, 0.9))]).toEqual([4, 1, 3, 1]);
  });

  it('finds the extremes and the first greatest patch', () => {
    const summary = summariseMap(map(0.25, 0.75, 0.125, 0.75));
    expect(summary).toEqual({ min: 0.125, max: 0.75, maxIndex: 1 });
  });

  it('counts what reaches a threshold, the threshold itself included', () => {
    expect(countAtOrAbove(map(0.25, 0.5, 0.75), 0.5)).toBe(2);
  });

  it('bins 0 into the first and 1 into the last bin', () => {
    expect([...countBins(map(0, 0.24, 0.25, 1), 4)]).toEqual([2, 1, 0, 1]);
  });
});
