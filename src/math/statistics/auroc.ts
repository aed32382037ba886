import { createRandom } from '../random';
import type { RightSide } from './calibration-threshold';
import { refuseNaN } from './numbers';
import { createResampler, sortedPercentile } from './resample';

/**
 * AUROC: the share of pairs of a right and a wrong answer that the value puts in the expected order, with ties counting
 * half. `low` and `high` are a 95 % percentile bootstrap interval, resampled within each class.
 */
export interface AurocInterval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly right: number;
  readonly wrong: number;
}

/**
 * The Mann-Whitney U statistic divided by the number of pairs; NaN if a class is empty. Infinite values rank first or
 * last. Throws if a value is NaN.
 */
export function auroc(right: ArrayLike<number>, wrong: ArrayLike<number>, rightSide: RightSide): number {
  return orderedShare(tieCells(right, wrong), rightSide);
}

/**
 * If there are more distinct values than this, resampling groups them into cells with about the same number of answers.
 */
const maxCells = 1024;

/** AUROC with its interval, which is NaN without resamples. Undefined if a class is empty. Throws if a value is NaN. */
export function aurocInterval(
  right: ArrayLike<number>,
  wrong: ArrayLike<number>,
  rightSide: RightSide,
  { resamples, seed }: { readonly resamples: number; readonly seed: number },
): AurocInterval | undefined {
  if (right.length === 0 || wrong.length === 0) return undefined;
  const exact = tieCells(right, wrong);
  const value = orderedShare(exact, rightSide);
  const n = { right: right.length, wrong: wrong.length };
  if (resamples === 0) return { value, low: Number.NaN, high: Number.NaN, ...n };
  const cells = exact.right.length > maxCells ? coarsen(exact, maxCells) : exact;
  const centre = orderedShare(cells, rightSide);
  const random = createRandom(seed);
  const resamplers = { right: createResampler(cells.right), wrong: createResampler(cells.wrong) };
  const drawn = { right: new Float64Array(cells.right.length), wrong: new Float64Array(cells.wrong.length) };
  const values = new Float64Array(resamples);
  for (let i = 0; i < resamples; i++) {
    resamplers.right.draw(drawn.right, random);
    resamplers.wrong.draw(drawn.wrong, random);
    // Answers in one cell count as ties. This shifts the AUROC of every resample by about as much as that of the full
    // set; correct for this shift.
    values[i] = orderedShare(drawn, rightSide) - centre + value;
  }
  values.sort();
  return {
    value,
    low: Math.max(0, sortedPercentile(values, 0.025)),
    high: Math.min(1, sortedPercentile(values, 0.975)),
    ...n,
  };
}

/** The number of right and wrong answers for each value, in ascending order of value. */
export interface Cells {
  readonly right: Float64Array;
  readonly wrong: Float64Array;
}

export function tieCells(right: ArrayLike<number>, wrong: ArrayLike<number>): Cells {
  refuseNaN(right, 'right answers’ values');
  refuseNaN(wrong, 'wrong answers’ values');
  const R = Float64Array.from(right).sort();
  const W = Float64Array.from(wrong).sort();
  const counts = { right: new Float64Array(R.length + W.length), wrong: new Float64Array(R.length + W.length) };
  let cells = 0;
  for (let r = 0, w = 0; r < R.length || w < W.length; cells++) {
    const value = Math.min(R[r] ?? Number.POSITIVE_INFINITY, W[w] ?? Number.POSITIVE_INFINITY);
    const [fromR, fromW] = [r, w];
    while (r < R.length && R[r]! === value) r++;
    while (w < W.length && W[w]! === value) w++;
    counts.right[cells] = r - fromR;
    counts.wrong[cells] = w - fromW;
  }
  return { right: counts.right.subarray(0, cells), wrong: counts.wrong.subarray(0, cells) };
}

/** Merges neighbouring cells into at most `cells` with about the same number of answers each. */
export function coarsen({ right, wrong }: Cells, cells: number): Cells {
  const total = sumOf(right) + sumOf(wrong);
  const merged = { right: new Float64Array(cells), wrong: new Float64Array(cells) };
  for (let cell = 0, before = 0; cell < right.length; cell++) {
    const into = Math.min(cells - 1, Math.floor((before / total) * cells));
    merged.right[into] = merged.right[into]! + right[cell]!;
    merged.wrong[into] = merged.wrong[into]! + wrong[cell]!;
    before += right[cell]! + wrong[cell]!;
  }
  return merged;
}

/** The number of pairs whose right answer has the lower value, ties counting half, and the number of all pairs. */
export function countPairs({ right, wrong }: Cells): { readonly below: number; readonly all: number } {
  let below = 0;
  let rights = 0;
  let wrongs = 0;
  for (let cell = 0; cell < right.length; cell++) {
    const [r, w] = [right[cell]!, wrong[cell]!];
    // Count right answers below this cell's wrong ones, and half of those in the same cell.
    below += w * (rights + r / 2);
    rights += r;
    wrongs += w;
  }
  return { below, all: rights * wrongs };
}

function orderedShare(cells: Cells, rightSide: RightSide): number {
  const { below, all } = countPairs(cells);
  return rightSide === 'below' ? below / all : 1 - below / all;
}

function sumOf(counts: Float64Array): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
