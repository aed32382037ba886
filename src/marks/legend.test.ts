import { describe, expect, it } from 'vitest';
import { histogramPathData } from './legend';

/** The y coordinates of a path's corners; 0 is the top. */
const heights = (path: string) => [...path.matchAll(/,(-?[\d.]+)/g)].map((match) => Number(match[1]));

describe("the legend's histogram", () => {
  it('shows a single patch among many', () => {
    const lone = histogramPathData([575, 0, 0, 1], { widthPx: 100, heightPx: 20 });
    expect(Math.min(...heights(lone))).toBeLessThan(1);
    expect(heights(lone).filter((y) => y > 10 && y < 19).length).toBeGreaterThan(0);
  });

  it('stays inside its box, even with no patches', () => {
    for (const counts of [
      [0, 0],
      [576, 0],
      [288, 288],
    ]) {
      const ys = heights(histogramPathData(counts, { widthPx: 50, heightPx: 20 }));
      expect(Math.min(...ys)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...ys)).toBeLessThanOrEqual(20);
    }
  });
});
