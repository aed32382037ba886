import { describe, expect, it } from 'vitest';
import { calibrateThreshold, isSetHalf, type RightSide } from './calibration-threshold';
import fixture from './fixtures/calibration.json';

const { right, wrong, threshold } = fixture;
const values = [...right, ...wrong];
const isRight = values.map((_, i) => (i < right.length ? 1 : 0));

function figures(side: RightSide) {
  const signed = side === 'below' ? values : values.map((value) => -value);
  const found = calibrateThreshold(signed, isRight, threshold.rows, side, threshold.seed);
  if (found.state === 'refused') throw new Error(found.why);
  return found.figures;
}

describe('a threshold', () => {
  it.each(['below', 'above'] as const)('with right answers %s is Python’s, on the same halves', (side) => {
    const found = figures(side);
    const wanted = threshold[side];
    expect(found.threshold).toBeCloseTo(wanted.threshold, 12);
    expect([found.meanRight, found.meanWrong]).toEqual([
      expect.closeTo(wanted.mean_right, 12),
      expect.closeTo(wanted.mean_wrong, 12),
    ]);
    expect(found.setOn).toBe(wanted.set_on);
    const shares = [
      [found.shareBelow, wanted.share_below],
      [found.rightBelow, wanted.right_below],
      [found.rightAbove, wanted.right_above],
      [found.truePositives, wanted.true_positives],
      [found.falsePositives, wanted.false_positives],
    ] as const;
    for (const [share, other] of shares) expect([share.hits, share.n]).toEqual([other.hits, other.n]);
  });

  it.each(fixture.halves)('parts rows as Python does, seed $seed', ({ seed, isSet }) => {
    expect(isSet.map((_, row) => isSetHalf(row, seed))).toEqual(isSet);
  });

  it('is refused where a class is missing, with the number', () => {
    const found = calibrateThreshold(
      right,
      new Uint8Array(right.length).fill(1),
      right.map((_, i) => i),
      'below',
      0,
    );
    expect(found).toMatchObject({
      state: 'refused',
      why: expect.stringContaining('There are 0 wrong answers in the half'),
    });
  });

  it('of values that are all the same calls none of them low', () => {
    const same = new Float64Array(200).fill(3);
    const found = calibrateThreshold(
      same,
      same.map((_, i) => i % 2),
      same.map((_, i) => i),
      'below',
      0,
    );
    if (found.state === 'refused') throw new Error(found.why);
    expect(found.figures.threshold).toBe(3);
    expect(found.figures.shareBelow.hits).toBe(0);
    expect(found.figures.rightBelow).toMatchObject({ value: Number.NaN, low: 0, high: 1 });
  });
});
