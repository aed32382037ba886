import { describe, expect, it } from 'vitest';
import {
  accuracyOf,
  averageRanks,
  countBinary,
  f1Of,
  membershipIou,
  rankCorrelation,
  topMembership,
} from './agreement';
// Written by companion/tests/makers/agreement_fixture.py.
import fixture from './fixtures/agreement.json';

const map = (...values: number[]) => Float32Array.from(values);
const spearman = (a: Float32Array, b: Float32Array) => rankCorrelation(averageRanks(a), averageRanks(b));

describe('agreement of two maps, compared with SciPy and NumPy', () => {
  it.each(fixture)('$name', ({ first, second, thresholds, ranks, spearman: rho, iou, accuracy, f1 }) => {
    const [a, b] = [map(...first), map(...second)];
    expect(Array.from(averageRanks(a))).toEqual(ranks);
    // Both sum 144 products in float64, in different orders.
    expect(spearman(a, b)).toBeCloseTo(rho, 12);
    for (const [i, share] of [0.05, 0.1, 0.2].entries()) {
      if (iou) expect(membershipIou(topMembership(a, share), topMembership(b, share))).toBe(iou[i]);
    }
    const counts = countBinary(a, Math.fround(thresholds[0]!), b, Math.fround(thresholds[1]!));
    expect(accuracyOf(counts)).toBeCloseTo(accuracy, 14);
    expect(f1Of(counts)).toBeCloseTo(f1, 14);
  });
});

describe('rank correlation', () => {
  it('assigns equal values their mean rank', () => {
    expect(Array.from(averageRanks(map(3, 1, 3, 2, 3)))).toEqual([4, 1, 4, 2, 4]);
  });

  it('is 1 after any increasing transformation, -1 after a decreasing one', () => {
    const values = map(0.1, 0.7, 0.2, 0.9);
    expect(spearman(values, map(0.01, 0.49, 0.04, 0.81))).toBe(1);
    expect(spearman(values, map(-0.1, -0.7, -0.2, -0.9))).toBe(-1);
  });

  it('is undefined if a map is constant or has one patch', () => {
    expect(spearman(map(1, 1, 1), map(1, 2, 3))).toBeUndefined();
    expect(spearman(map(0, 0, 0), map(0, 0, 0))).toBeUndefined();
    expect(spearman(map(1), map(2))).toBeUndefined();
  });

  it('rejects maps of different lengths, naming both', () => {
    expect(() => spearman(map(1, 2), map(1, 2, 3))).toThrow('2 and 3');
  });
});

describe('overlap of the strongest patches', () => {
  it('includes at least one patch', () => {
    expect(Array.from(topMembership(map(0.2, 0.9, 0.1), 0.05))).toEqual([0, 1, 0]);
  });

  it('shares the last places between tied patches', () => {
    expect(Array.from(topMembership(map(5, 2, 2, 2, 2, 0), 0.5))).toEqual([1, 0.5, 0.5, 0.5, 0.5, 0]);
  });

  it('does not depend on the order of tied patches', () => {
    const other = topMembership(map(9, 0, 0, 5, 0, 0), 0.34);
    const first = membershipIou(topMembership(map(5, 2, 2, 0, 0, 0), 0.34), other);
    const second = membershipIou(topMembership(map(5, 0, 2, 0, 2, 0), 0.34), other);
    expect(first).toBe(second);
    expect(first).toBeCloseTo(1 / 3, 12); // intersection 1; union 1 + two halves + 1
  });

  it('is 1 for two constant maps, and for a map with itself', () => {
    const flat = topMembership(map(1, 1, 1, 1), 0.25);
    expect(membershipIou(flat, flat)).toBe(1);
    const tied = topMembership(map(0.4, 0, 0, 0.4), 0.25);
    expect(membershipIou(tied, tied)).toBe(1);
  });

  it('is 0 for maps without patches', () => {
    expect(membershipIou(topMembership(map(), 0.1), topMembership(map(), 0.1))).toBe(0);
  });
});

describe('accuracy and F1 at the thresholds', () => {
  it('count a patch at the threshold as above it', () => {
    expect(countBinary(map(0.5, 0.4), 0.5, map(0.3, 0.2), 0.25)).toEqual({
      both: 1,
      onlyFirst: 0,
      onlySecond: 0,
      neither: 1,
    });
  });

  it('have an undefined F1 if neither map labels a patch, and F1 0 if only one does', () => {
    const neither = countBinary(map(0, 0), 0.5, map(0, 0), 0.5);
    expect(f1Of(neither)).toBeUndefined();
    expect(accuracyOf(neither)).toBe(1);
    const onlyFirst = countBinary(map(1, 0), 0.5, map(0, 0), 0.5);
    expect(f1Of(onlyFirst)).toBe(0);
    expect(accuracyOf(onlyFirst)).toBe(0.5);
  });

  it('have an undefined accuracy without patches', () => {
    expect(accuracyOf(countBinary(map(), 0.5, map(), 0.5))).toBeUndefined();
  });
});
