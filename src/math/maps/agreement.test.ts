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

describe('the agreement of two maps, against SciPy and numpy', () => {
  it.each(fixture)('$name', ({ first, second, thresholds, ranks, spearman: rho, iou, accuracy, f1 }) => {
    const [a, b] = [map(...first), map(...second)];
    expect(Array.from(averageRanks(a))).toEqual(ranks);
    // Both sum 144 products in float64, in another order.
    expect(spearman(a, b)).toBeCloseTo(rho, 12);
    for (const [i, share] of [0.05, 0.1, 0.2].entries()) {
      if (iou) expect(membershipIou(topMembership(a, share), topMembership(b, share))).toBe(iou[i]);
    }
    const counts = countBinary(a, Math.fround(thresholds[0]!), b, Math.fround(thresholds[1]!));
    expect(accuracyOf(counts)).toBeCloseTo(accuracy, 14);
    expect(f1Of(counts)).toBeCloseTo(f1, 14);
  });
});

describe('the rank correlation', () => {
  it('gives equal values their mean rank', () => {
    expect(Array.from(averageRanks(map(3, 1, 3, 2, 3)))).toEqual([4, 1, 4, 2, 4]);
  });

  it('is one for any rising change of values, minus one for a falling one', () => {
    const values = map(0.1, 0.7, 0.2, 0.9);
    expect(spearman(values, map(0.01, 0.49, 0.04, 0.81))).toBe(1);
    expect(spearman(values, map(-0.1, -0.7, -0.2, -0.9))).toBe(-1);
  });

  it('is not defined where a map is constant, or of one patch', () => {
    expect(spearman(map(1, 1, 1), map(1, 2, 3))).toBeUndefined();
    expect(spearman(map(0, 0, 0), map(0, 0, 0))).toBeUndefined();
    expect(spearman(map(1), map(2))).toBeUndefined();
  });

  it('refuses maps of different length, with both', () => {
    expect(() => spearman(map(1, 2), map(1, 2, 3))).toThrow('2 and 3');
  });
});

describe('the overlap of the strongest patches', () => {
  it('counts one patch at least', () => {
    expect(Array.from(topMembership(map(0.2, 0.9, 0.1), 0.05))).toEqual([0, 1, 0]);
  });

  it('lets patches that tie for the last places share them', () => {
    expect(Array.from(topMembership(map(5, 2, 2, 2, 2, 0), 0.5))).toEqual([1, 0.5, 0.5, 0.5, 0.5, 0]);
  });

  it('is the same in whatever order tied patches stand', () => {
    const against = map(9, 0, 0, 5, 0, 0);
    const one = membershipIou(topMembership(map(5, 2, 2, 0, 0, 0), 0.34), topMembership(against, 0.34));
    const other = membershipIou(topMembership(map(5, 0, 2, 0, 2, 0), 0.34), topMembership(against, 0.34));
    expect(one).toBe(other);
    expect(one).toBeCloseTo(1 / 3, 12); // one shared patch of one and two halves and one more
  });

  it('is one for two constant maps, and for a map with itself', () => {
    const flat = topMembership(map(1, 1, 1, 1), 0.25);
    expect(membershipIou(flat, flat)).toBe(1);
    const own = topMembership(map(0.4, 0, 0, 0.4), 0.25);
    expect(membershipIou(own, own)).toBe(1);
  });

  it('is nothing for maps without patches', () => {
    expect(membershipIou(topMembership(map(), 0.1), topMembership(map(), 0.1))).toBe(0);
  });
});

describe('accuracy and F1 at the thresholds', () => {
  it('take a patch at its threshold as above it', () => {
    expect(countBinary(map(0.5, 0.4), 0.5, map(0.3, 0.2), 0.25)).toEqual({
      both: 1,
      onlyFirst: 0,
      onlySecond: 0,
      neither: 1,
    });
  });

  it('have no F1 where neither map labels a patch, and none of it where one alone does', () => {
    const neither = countBinary(map(0, 0), 0.5, map(0, 0), 0.5);
    expect(f1Of(neither)).toBeUndefined();
    expect(accuracyOf(neither)).toBe(1);
    const one = countBinary(map(1, 0), 0.5, map(0, 0), 0.5);
    expect(f1Of(one)).toBe(0);
    expect(accuracyOf(one)).toBe(0.5);
  });

  it('have no accuracy without patches', () => {
    expect(accuracyOf(countBinary(map(), 0.5, map(), 0.5))).toBeUndefined();
  });
});
