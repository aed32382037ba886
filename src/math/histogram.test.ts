import { describe, expect, it } from 'vitest';
import { countValues, evenEdges } from './histogram';

describe('histograms', () => {
  it('put the upper end into the last bin and NaN into none', () => {
    const { counts, outside } = countValues([0, 0.5, 1, 1.999, 2, 2.1, -1, Number.NaN], evenEdges(0, 2, 4));
    expect([...counts]).toEqual([1, 1, 1, 2]);
    expect(outside).toBe(2);
  });

  it('end exactly where they should', () => {
    expect(evenEdges(0.1, 0.7, 3).at(-1)).toBe(0.7);
  });
});
