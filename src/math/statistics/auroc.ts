import { createRandom } from '../random';
import type { RightSide } from './calibration-threshold';
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

/** The Mann-Whitney U statistic of finite values, divided by the number of pairs; NaN if a class is empty. */
export function auroc(right: ArrayLike<number>, wrong: ArrayLike<number>, rightSide: RightSide): number {
  return orderedShare(tieCells(right, wrong), rightSide);
}

/**
 * If there are more distinct values than this, resampling groups them into cells with about the same number of answers.
 */
const maxCells = 1024;

/** AUROC with its interval, which is NaN without resamples. Undefined if a class is empty. */
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
  const cells = exact.right.length > maxCells ? coarsen(exact, right.length + wrong.length) : exact;
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
interface Cells {
  readonly right: Float64Array;
  readonly wrong: Float64Array;
}

function tieCells(right: ArrayLike<number>, wrong: ArrayLike<number>): Cells {
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

function coarsen({ right, wrong }: Cells, total: number): Cells {
  const merged = { right: new Float64Array(maxCells), wrong: new Float64Array(maxCells) };
  for (let cell = 0, before = 0; cell < right.length; cell++) {
    const into = Math.min(maxCells - 1, Math.floor((before / total) * maxCells));
    merged.right[into] = merged.right[into]! + right[cell]!;
    merged.wrong[into] = merged.wrong[into]! + wrong[cell]!;
    before += right[cell]! + wrong[cell]!;
  }
  return merged;
}

function orderedShare({ right, wrong }: Cells, rightSide: RightSide): number {
  let pairs = 0;
  let rights = 0;
  let wrongs = 0;
  for (let cell = 0; cell < right.length; cell++) {
    const [r, w] = [right[cell]!, wrong[cell]!];
    // Count right answers below this cell's wrong ones, and half of those in the same cell.
    pairs += w * (rights + r / 2);
    rights += r;
    wrongs += w;
  }
  const below = pairs / (rights * wrongs);
  return rightSide === 'below' ? below : 1 - below;
}
