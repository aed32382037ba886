import { mixBits } from '../random';
import { meanOf, midpointOf, refuseNaN } from './numbers';
import { type Share, shareOf } from './share';

/** The side of the threshold where right answers are expected. */
export type RightSide = 'below' | 'above';

/** A threshold set on one half of the answers, with its performance on the other half. */
export interface ThresholdFigures {
  readonly rightSide: RightSide;
  /** The midpoint between the two class means on the first half, in the value's unit. */
  readonly threshold: number;
  readonly meanRight: number;
  readonly meanWrong: number;
  /** Number of answers that the threshold was set on. */
  readonly setOn: number;
  /** Answers in the same half that have an infinite value, which the means cannot include. */
  readonly notAveraged: number;
  /** This and the following shares are measured on the other half. A value at the threshold counts as above it. */
  readonly shareBelow: Share;
  readonly rightBelow: Share;
  readonly rightAbove: Share;
  /** Right answers on the `rightSide`, out of all right ones. */
  readonly truePositives: Share;
  /** Wrong answers on the `rightSide`, out of all wrong ones. */
  readonly falsePositives: Share;
}

export type ThresholdResult =
  | { readonly state: 'figures'; readonly figures: ThresholdFigures }
  | { readonly state: 'refused'; readonly why: string };

/** Minimum number of right answers, and of wrong ones, in each half; where the threshold is set, of finite values. */
const minPerClass = 10;

/**
 * True for rows on which the threshold is set, false for rows on which it is checked; depends only on the seed and the
 * row's position in the file.
 */
export function isSetHalf(row: number, seed: number): boolean {
  return mixBits(row + Math.imul(seed, 0x9e3779b9)) < 0x80000000;
}

/**
 * values, isRight and rows: [n], for answers with a known value and class; `rows` are their positions in the file. An
 * infinite value is not in a class mean; it is below or above the threshold like any other value. Throws if a value is
 * NaN.
 */
export function calibrateThreshold(
  values: ArrayLike<number>,
  isRight: ArrayLike<number>,
  rows: ArrayLike<number>,
  rightSide: RightSide,
  seed: number,
): ThresholdResult {
  refuseNaN(values, 'values');
  const isSet = Uint8Array.from(rows, (row) => (isSetHalf(row, seed) ? 1 : 0));
  const averaged: { readonly right: number[]; readonly wrong: number[] } = { right: [], wrong: [] };
  const checked = { right: 0, wrong: 0 };
  let notAveraged = 0;
  for (let i = 0; i < values.length; i++) {
    const side = isRight[i]! ? 'right' : 'wrong';
    if (!isSet[i]) checked[side] += 1;
    else if (Number.isFinite(values[i])) averaged[side].push(values[i]!);
    else notAveraged++;
  }
  const halves = { set: { right: averaged.right.length, wrong: averaged.wrong.length }, check: checked };
  for (const [purpose, counts] of Object.entries(halves))
    for (const [side, n] of Object.entries(counts))
      if (n < minPerClass) {
        const which = purpose === 'set' && notAveraged > 0 ? `${side} answers with a finite value` : `${side} answers`;
        return {
          state: 'refused',
          why: `The half used to ${purpose} the threshold needs at least ${minPerClass} ${which}, found ${n}.`,
        };
      }
  const meanRight = meanOf(averaged.right);
  const meanWrong = meanOf(averaged.wrong);
  const threshold = midpointOf(meanRight, meanWrong);
  const below = { right: 0, wrong: 0 };
  for (let i = 0; i < values.length; i++)
    if (!isSet[i] && values[i]! < threshold) below[isRight[i]! ? 'right' : 'wrong'] += 1;
  const above = { right: checked.right - below.right, wrong: checked.wrong - below.wrong };
  const predictedRight = rightSide === 'below' ? below : above;
  return {
    state: 'figures',
    figures: {
      rightSide,
      threshold,
      meanRight,
      meanWrong,
      setOn: halves.set.right + halves.set.wrong,
      notAveraged,
      shareBelow: shareOf(below.right + below.wrong, checked.right + checked.wrong),
      rightBelow: shareOf(below.right, below.right + below.wrong),
      rightAbove: shareOf(above.right, above.right + above.wrong),
      truePositives: shareOf(predictedRight.right, checked.right),
      falsePositives: shareOf(predictedRight.wrong, checked.wrong),
    },
  };
}
