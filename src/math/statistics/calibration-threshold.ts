import { mixBits } from '../random';
import { type Share, shareOf } from './share';

/** On which side of the threshold right answers are expected. */
export type RightSide = 'below' | 'above';

/** A threshold set on one half of the answers, and what it is worth on the other. */
export interface ThresholdFigures {
  readonly rightSide: RightSide;
  /** Mean of the two classes' means on the first half, in the value's unit. */
  readonly threshold: number;
  readonly meanRight: number;
  readonly meanWrong: number;
  /** Answers that the threshold was set on. */
  readonly setOn: number;
  /** Of the answers that it was checked on; all that follows is of these. A value at the threshold is above it. */
  readonly shareBelow: Share;
  readonly rightBelow: Share;
  readonly rightAbove: Share;
  /** Right answers on the right side, of all right ones; wrong answers there, of all wrong ones. */
  readonly truePositives: Share;
  readonly falsePositives: Share;
}

export type ThresholdResult =
  | { readonly state: 'figures'; readonly figures: ThresholdFigures }
  | { readonly state: 'refused'; readonly why: string };

/** Fewer right or wrong answers in a half carry no threshold. */
export const leastForThreshold = 10;

/** Whether the threshold is set on this row, or checked: by its place in the file and the seed alone. */
export function isSetHalf(row: number, seed: number): boolean {
  return mixBits(row + Math.imul(seed, 0x9e3779b9)) < 0x80000000;
}

/** values, isRight and rows [n]: of answers whose value and correctness are known; `rows` are their places in the file. */
export function calibrateThreshold(
  values: ArrayLike<number>,
  isRight: ArrayLike<number>,
  rows: ArrayLike<number>,
  rightSide: RightSide,
  seed: number,
): ThresholdResult {
  const isSet = Uint8Array.from(rows, (row) => (isSetHalf(row, seed) ? 1 : 0));
  const halves = { set: { right: 0, wrong: 0 }, checked: { right: 0, wrong: 0 } };
  const sums = { right: 0, wrong: 0 };
  for (let i = 0; i < values.length; i++) {
    const side = isRight[i]! ? 'right' : 'wrong';
    if (isSet[i]) sums[side] += values[i]!;
    halves[isSet[i] ? 'set' : 'checked'][side] += 1;
  }
  for (const [half, counts] of Object.entries(halves))
    for (const [side, n] of Object.entries(counts))
      if (n < leastForThreshold) {
        const where = half === 'set' ? 'the half that a threshold is set on' : 'the half that it is checked on';
        return {
          state: 'refused',
          why: `There are ${n} ${side} answers in ${where}; it takes at least ${leastForThreshold}.`,
        };
      }
  const { set, checked } = halves;
  const meanRight = sums.right / set.right;
  const meanWrong = sums.wrong / set.wrong;
  const threshold = (meanRight + meanWrong) / 2;
  const below = { right: 0, wrong: 0 };
  for (let i = 0; i < values.length; i++)
    if (!isSet[i] && values[i]! < threshold) below[isRight[i]! ? 'right' : 'wrong'] += 1;
  const above = { right: checked.right - below.right, wrong: checked.wrong - below.wrong };
  const trusted = rightSide === 'below' ? below : above;
  return {
    state: 'figures',
    figures: {
      rightSide,
      threshold,
      meanRight,
      meanWrong,
      setOn: set.right + set.wrong,
      shareBelow: shareOf(below.right + below.wrong, checked.right + checked.wrong),
      rightBelow: shareOf(below.right, below.right + below.wrong),
      rightAbove: shareOf(above.right, above.right + above.wrong),
      truePositives: shareOf(trusted.right, checked.right),
      falsePositives: shareOf(trusted.wrong, checked.wrong),
    },
  };
}
