import { createRandom } from '../random';
import type { RightSide } from './calibration-threshold';
import { createResampler, sortedPercentile } from './resample';

/**
 * The share of pairs (a right and a wrong answer) that the value puts in the expected order, ties counting half; with
 * a 95 % percentile bootstrap interval, resampled within each class.
 */
export interface AurocInterval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly right: number;
  readonly wrong: number;
}

/** Mann and Whitney's U over n m; NaN where a class is empty. Of finite values. */
export function auroc(right: ArrayLike<number>, wrong: ArrayLike<number>, rightSide: RightSide): number {
  return orderedShare(tieCells(right, wrong), rightSide);
}

/** Past so many different values, cells of equal numbers of answers stand for them in the resamples. */
const mostCells = 1024;

/** Without resamples the interval's ends are NaN. Undefined where a class is empty. */
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
  const cells = exact.right.length > mostCells ? coarser(exact, right.length + wrong.length) : exact;
  const centre = orderedShare(cells, rightSide);
  const random = createRandom(seed);
  const resamplers = { right: createResampler(cells.right), wrong: createResampler(cells.wrong) };
  const drawn = { right: new Float64Array(cells.right.length), wrong: new Float64Array(cells.wrong.length) };
  const found = new Float64Array(resamples);
  for (let i = 0; i < resamples; i++) {
    resamplers.right.draw(drawn.right, random);
    resamplers.wrong.draw(drawn.wrong, random);
    // Answers of one cell count as ties: what that moves the whole by, it moves each resample by.
    found[i] = orderedShare(drawn, rightSide) - centre + value;
  }
  found.sort();
  return {
    value,
    low: Math.max(0, sortedPercentile(found, 0.025)),
    high: Math.min(1, sortedPercentile(found, 0.975)),
    ...n,
  };
}

/** How many right and wrong answers there are of each value, from the smallest on. */
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

function coarser({ right, wrong }: Cells, total: number): Cells {
  const merged = { right: new Float64Array(mostCells), wrong: new Float64Array(mostCells) };
  for (let cell = 0, before = 0; cell < right.length; cell++) {
    const into = Math.min(mostCells - 1, Math.floor((before / total) * mostCells));
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
    // Right answers below this cell's wrong ones, and half of those beside them.
    pairs += w * (rights + r / 2);
    rights += r;
    wrongs += w;
  }
  const below = pairs / (rights * wrongs);
  return rightSide === 'below' ? below : 1 - below;
}
