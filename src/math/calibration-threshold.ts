import type { Share } from './share';

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
  /** Of the answers that it was checked on; all that follows is of these. */
  readonly shareBelow: Share;
  readonly rightBelow: Share;
  readonly rightAbove: Share;
  /** Right answers on the right side, of all right ones; wrong answers there, of all wrong ones. */
  readonly truePositives: Share;
  readonly falsePositives: Share;
}
