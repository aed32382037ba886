import { describe, expect, it } from 'vitest';
import { averageMaps, countAtOrAbove, ranksDescending, summariseMap } from './map-values';

const map = (...values: number[]) => Float32Array.from(values);

describe('map values', () => {
  it('averages patch by patch', () => {
    expect(averageMaps([map(0, 0.5, 1), map(1, 0.5, 0.5)])).toEqual(map(0.5, 0.5, 0.75));
    expect(averageMaps([])).toBeUndefined();
  });

  it('rejects averaging maps of different grids', () => {
    expect(() => averageMaps([map(0, 1), map(1)])).toThrow('2 and 1');
  });

  it('does not modify the maps that it averages', () => {
    const first = map(0.25, 0.75);
    averageMaps([first, map(1, 1)]);
    expect(first).toEqual(map(0.25, 0.75));
  });

  it('ranks in descending order, with ties sharing the better rank', () => {
    expect([...ranksDescending(map(0.1, 0.9, 0.5, 0.9))]).toEqual([4, 1, 3, 1]);
  });

  it('finds minimum, maximum and the first patch with the maximum', () => {
    const summary = summariseMap(map(0.25, 0.75, 0.125, 0.75));
    expect(summary).toEqual({ min: 0.125, max: 0.75, maxIndex: 1 });
  });

  it('counts values at or above a threshold', () => {
    expect(countAtOrAbove(map(0.25, 0.5, 0.75), 0.5)).toBe(2);
  });
});
