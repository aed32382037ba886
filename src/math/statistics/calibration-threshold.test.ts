import { describe, expect, it } from 'vitest';
import { calibrateThreshold, isSetHalf, type RightSide } from './calibration-threshold';
import fixture from './fixtures/calibration.json';

const { right, wrong, threshold } = fixture;
const values = [...right, ...wrong];
const isRight = values.map((_, i) => (i < right.length ? 1 : 0));

function figures(side: RightSide) {
  const signed = side === 'below' ? values : values.map((value) => -value);
  const actual = calibrateThreshold(signed, isRight, threshold.rows, side, threshold.seed);
  if (actual.state === 'refused') throw new Error(actual.why);
  return actual.figures;
}

describe('calibrating a threshold', () => {
  it.each(['below', 'above'] as const)('with right answers %s matches Python on the same halves', (side) => {
    const actual = figures(side);
    const expected = threshold[side];
    expect(actual.threshold).toBeCloseTo(expected.threshold, 12);
    expect([actual.meanRight, actual.meanWrong]).toEqual([
      expect.closeTo(expected.mean_right, 12),
      expect.closeTo(expected.mean_wrong, 12),
    ]);
    expect(actual.setOn).toBe(expected.set_on);
    const shares = [
      [actual.shareBelow, expected.share_below],
      [actual.rightBelow, expected.right_below],
      [actual.rightAbove, expected.right_above],
      [actual.truePositives, expected.true_positives],
      [actual.falsePositives, expected.false_positives],
    ] as const;
    for (const [share, reference] of shares) expect([share.hits, share.n]).toEqual([reference.hits, reference.n]);
  });

  it('leaves infinite values out of the means, but counts them on their side, as Python does', () => {
    const { infinite } = fixture;
    const signed = [...infinite.right, ...infinite.wrong].map(Number);
    const actual = calibrateThreshold(signed, isRight, threshold.rows, 'above', threshold.seed);
    if (actual.state === 'refused') throw new Error(actual.why);
    const expected = infinite.threshold;
    expect(actual.figures.threshold).toBeCloseTo(expected.threshold, 12);
    expect(actual.figures).toMatchObject({ setOn: expected.set_on, notAveraged: expected.not_averaged });
    expect(actual.figures.notAveraged).toBeGreaterThan(0);
    expect(actual.figures.shareBelow).toMatchObject({ hits: expected.share_below.hits, n: expected.share_below.n });
    expect(actual.figures.rightBelow).toMatchObject({ hits: expected.right_below.hits, n: expected.right_below.n });
  });

  it('says that a class has too few finite values', () => {
    const lowest = values.map((value, i) => (i < right.length ? value : Number.NEGATIVE_INFINITY));
    expect(calibrateThreshold(lowest, isRight, threshold.rows, 'above', 7)).toMatchObject({
      why: 'The half used to set the threshold needs at least 10 wrong answers with a finite value, found 0.',
    });
  });

  it('refuses NaN', () => {
    const holed = [...values.slice(1), Number.NaN];
    expect(() => calibrateThreshold(holed, isRight, threshold.rows, 'below', 7)).toThrow('1 of 350 values are NaN');
  });

  it('of the largest values does not overflow', () => {
    const huge = new Float64Array(200).fill(1.7e308);
    const actual = calibrateThreshold(
      huge,
      huge.map((_, i) => i % 2),
      huge.map((_, i) => i),
      'below',
      0,
    );
    expect(actual).toMatchObject({ figures: { threshold: expect.closeTo(1.7e308, -300) } });
  });

  it.each(fixture.halves)('splits rows as Python does, seed $seed', ({ seed, isSet }) => {
    expect(isSet.map((_, row) => isSetHalf(row, seed))).toEqual(isSet);
  });

  it('is refused if a class is missing, with the number of answers', () => {
    const actual = calibrateThreshold(
      right,
      new Uint8Array(right.length).fill(1),
      right.map((_, i) => i),
      'below',
      0,
    );
    expect(actual).toMatchObject({
      state: 'refused',
      why: expect.stringContaining('The half used to set the threshold needs at least 10 wrong answers, found 0.'),
    });
  });

  it('classifies no value as below the threshold if all are equal', () => {
    const same = new Float64Array(200).fill(3);
    const actual = calibrateThreshold(
      same,
      same.map((_, i) => i % 2),
      same.map((_, i) => i),
      'below',
      0,
    );
    if (actual.state === 'refused') throw new Error(actual.why);
    expect(actual.figures.threshold).toBe(3);
    expect(actual.figures.shareBelow.hits).toBe(0);
    expect(actual.figures.rightBelow).toMatchObject({ value: Number.NaN, low: 0, high: 1 });
  });
});
