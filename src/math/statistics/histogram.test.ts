import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countValues, evenEdges, wholeEdges } from './histogram';

describe('histograms', () => {
  it('count the upper edge in the last bin and NaN in none', () => {
    const { counts, below, above } = countValues([0, 0.5, 1, 1.999, 2, 2.1, -1, Number.NaN], evenEdges(0, 2, 4));
    expect([...counts]).toEqual([1, 1, 1, 2]);
    expect([below, above]).toEqual([1, 1]);
  });

  it('end exactly at the upper limit', () => {
    expect(evenEdges(0.1, 0.7, 3).at(-1)).toBe(0.7);
  });

  it('have one bin per integer, or bins of equally many integers', () => {
    expect([...wholeEdges(3, 6, 40)]).toEqual([2.5, 3.5, 4.5, 5.5, 6.5]);
    expect([...wholeEdges(1, 10, 4)]).toEqual([0.5, 3.5, 6.5, 9.5, 12.5]);
    expect([...wholeEdges(7, 7, 20)]).toEqual([6.5, 7.5]);
  });

  it('count every value but NaN once, however extreme the values and the edges', () => {
    const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
    fc.assert(
      fc.property(
        fc.array(fc.double()),
        number,
        number,
        fc.integer({ min: 1, max: 90 }),
        (values, one, other, bins) => {
          const edges = evenEdges(Math.min(one, other), Math.max(one, other), bins);
          expect([edges[0], edges.at(-1)]).toEqual([Math.min(one, other), Math.max(one, other)]);
          expect(edges.every((edge, i) => Number.isFinite(edge) && (i === 0 || edge >= edges[i - 1]!))).toBe(true);
          const { counts, below, above } = countValues([...values, one, other], edges);
          const all = counts.reduce((sum, count) => sum + count, 0) + below + above;
          expect(all).toBe(values.filter((value) => !Number.isNaN(value)).length + 2);
        },
      ),
    );
  });

  it('count infinite values outside the edges', () => {
    const { below, above } = countValues([-Infinity, -Infinity, Infinity, 1], evenEdges(0, 2, 4));
    expect([below, above]).toEqual([2, 1]);
  });

  it.each([
    [-1.7e308, 1.7e308, 4],
    [0, 2e-323, 4],
  ])('put values from %s to %s into the right bins', (from, to, bins) => {
    const quarter = (i: number) => from * (1 - i / 4) + to * (i / 4);
    expect([...countValues([0, 1, 2, 3].map(quarter), evenEdges(from, to, bins)).counts]).toEqual([1, 1, 1, 1]);
  });
});
