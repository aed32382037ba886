// AUROC within groups: only pairs of answers of the same group are compared, so that a difference between the groups
// neither adds to the AUROC nor takes from it.
import { createRandom } from '../random';
import { type AurocInterval, type Cells, coarsen, countPairs, tieCells } from './auroc';
import { isSetHalf, type RightSide } from './calibration-threshold';
import { createResampler, sortedPercentile } from './resample';

/** The AUROC of all pairs within groups; `right` and `wrong` count the answers that are in such a pair. */
export interface GroupedAuroc extends AurocInterval {
  /** Number of pairs of a right and a wrong answer of the same group. */
  readonly pairs: number;
  /** Number of groups with both right and wrong answers. */
  readonly groups: number;
  /** Answers that are in no pair, because their group has only right or only wrong answers, or because they have none. */
  readonly leftOut: number;
}

/** Answers: the value, the class (1 for right) and the group of each; a negative group means none. */
export interface GroupedAnswers {
  readonly values: ArrayLike<number>;
  readonly isRight: ArrayLike<number>;
  readonly groups: ArrayLike<number>;
}

export interface IntervalOptions {
  readonly resamples: number;
  readonly seed: number;
}

/** Cells of all groups together; a group gets a number that is proportional to its answers, but not fewer than 8. */
const maxCells = 4096;
const minCellsPerGroup = 8;

/**
 * The stratified Mann-Whitney statistic: the ordered pairs of all groups, divided by the pairs of all groups, with ties
 * counting half. The interval is a 95 % percentile bootstrap, resampled within each class of each group; it is NaN
 * without resamples. Undefined if no group has both classes. Throws if a value is NaN.
 */
export function groupedAuroc(
  { values, isRight, groups }: GroupedAnswers,
  rightSide: RightSide,
  { resamples, seed }: IntervalOptions,
): GroupedAuroc | undefined {
  const byGroup = new Map<number, { readonly right: number[]; readonly wrong: number[] }>();
  for (let i = 0; i < values.length; i++) {
    const group = groups[i]!;
    if (group < 0) continue;
    let answers = byGroup.get(group);
    if (answers === undefined) {
      answers = { right: [], wrong: [] };
      byGroup.set(group, answers);
    }
    answers[isRight[i]! ? 'right' : 'wrong'].push(values[i]!);
  }
  const mixed = [...byGroup.values()].filter(({ right, wrong }) => right.length > 0 && wrong.length > 0);
  if (mixed.length === 0) return undefined;
  const exact = mixed.map(({ right, wrong }) => tieCells(right, wrong));
  const counts = {
    right: mixed.reduce((sum, { right }) => sum + right.length, 0),
    wrong: mixed.reduce((sum, { wrong }) => sum + wrong.length, 0),
  };
  const answers = counts.right + counts.wrong;
  const value = orderedShare(exact, rightSide);
  const shared = {
    value,
    ...counts,
    pairs: mixed.reduce((sum, { right, wrong }) => sum + right.length * wrong.length, 0),
    groups: mixed.length,
    leftOut: values.length - answers,
  };
  if (resamples === 0) return { ...shared, low: Number.NaN, high: Number.NaN };
  const cells = exact.map((of, i) => {
    const size = mixed[i]!.right.length + mixed[i]!.wrong.length;
    const limit = Math.max(minCellsPerGroup, Math.round((maxCells * size) / answers));
    return of.right.length > limit ? coarsen(of, limit) : of;
  });
  const centre = orderedShare(cells, rightSide);
  const random = createRandom(seed);
  const resamplers = cells.map(({ right, wrong }) => ({
    right: createResampler(right, answers),
    wrong: createResampler(wrong, answers),
  }));
  const drawn = cells.map(({ right }) => ({
    right: new Float64Array(right.length),
    wrong: new Float64Array(right.length),
  }));
  const shares = Float64Array.from({ length: resamples }, () => {
    for (const [i, { right, wrong }] of resamplers.entries()) {
      right.draw(drawn[i]!.right, random);
      wrong.draw(drawn[i]!.wrong, random);
    }
    // As in `aurocInterval`, correct for the shift that merging cells causes.
    return orderedShare(drawn, rightSide) - centre + value;
  });
  // A resample of tiny groups may have no pair.
  const sorted = shares.filter((share) => !Number.isNaN(share)).sort();
  return {
    ...shared,
    low: Math.max(0, sortedPercentile(sorted, 0.025)),
    high: Math.min(1, sortedPercentile(sorted, 0.975)),
  };
}

/**
 * The AUROC of the groups alone: each answer's value is the share of right answers in its group. The shares are measured
 * on one half of the answers and applied to the other, and the other way round; only pairs within a half are compared.
 * A group that the other half does not have gets that half's overall share. `rows` are the answers' positions in the
 * file. Answers without a group are left out.
 */
export function groupAloneAuroc(
  isRight: ArrayLike<number>,
  groups: ArrayLike<number>,
  rows: ArrayLike<number>,
  { resamples, seed }: IntervalOptions,
): GroupedAuroc | undefined {
  const halves = Int32Array.from(rows, (row, i) => (groups[i]! < 0 ? -1 : isSetHalf(row, seed) ? 1 : 0));
  const tallies = [new Map<number, Tally>(), new Map<number, Tally>()] as const;
  const totals: readonly [Tally, Tally] = [
    { right: 0, n: 0 },
    { right: 0, n: 0 },
  ];
  for (let i = 0; i < rows.length; i++) {
    const half = halves[i]!;
    if (half < 0) continue;
    const tally = tallies[half]!.get(groups[i]!) ?? { right: 0, n: 0 };
    tallies[half]!.set(groups[i]!, tally);
    for (const of of [tally, totals[half]!]) {
      of.right += isRight[i]! ? 1 : 0;
      of.n += 1;
    }
  }
  const values = Float64Array.from(halves, (half, i) => {
    if (half < 0) return 0;
    const { right, n } = tallies[1 - half]!.get(groups[i]!) ?? totals[1 - half]!;
    return n === 0 ? 0 : right / n;
  });
  return groupedAuroc({ values, isRight, groups: halves }, 'above', { resamples, seed });
}

interface Tally {
  right: number;
  n: number;
}

function orderedShare(groups: readonly Cells[], rightSide: RightSide): number {
  let below = 0;
  let all = 0;
  for (const cells of groups) {
    const pairs = countPairs(cells);
    below += pairs.below;
    all += pairs.all;
  }
  return rightSide === 'below' ? below / all : 1 - below / all;
}
