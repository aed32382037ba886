import { describe, expect, it } from 'vitest';
import { countValues, evenEdges, wholeEdges } from './histogram';

describe('histograms', () => {
  it('put the upper end into the last bin and NaN into none', () => {
    const { counts, outside } = countValues([0, 0.5, 1, 1.999, 2, 2.1, -1, Number.NaN], evenEdges(0, 2, 4));
    expect([...counts]).toEqual([1, 1, 1, 2]);
    expect(outside).toBe(2);
  });

  it('end exactly where they should', () => {
    expect(evenEdges(0.1, 0.7, 3).at(-1)).toBe(0.7);
  });

  it('have a bin for each whole number, or for equally many', () => {
    expect([...wholeEdges(3, 6, 40)]).toEqual([2.5, 3.5, 4.5, 5.5, 6.5]);
    expect([...wholeEdges(1, 10, 4)]).toEqual([0.5, 3.5, 6.5, 9.5, 12.5]);
    expect([...wholeEdges(7, 7, 20)]).toEqual([6.5, 7.5]);
  });
});
