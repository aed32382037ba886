import { type Share, shareOf } from './share';

/** Answers whose values are nearest to one. */
export interface NearestAnswers {
  /** Right among them. */
  readonly share: Share;
  /** The values that they span. */
  readonly from: number;
  readonly to: number;
  /** Share of all answers whose value is at or below this one's. */
  readonly rank: number;
}

/**
 * The `nearest` answers of the smallest distance to `at`, and all that are as near as the last of them. `sorted` holds
 * finite values from the smallest on, `isRight` the same answers. Undefined where there are none.
 */
export function answersLike(
  sorted: Float64Array,
  isRight: Uint8Array,
  at: number,
  nearest: number,
): NearestAnswers | undefined {
  if (sorted.length === 0 || Number.isNaN(at)) return undefined;
  const here = countAtOrBelow(sorted, at);
  let from = here;
  let to = here;
  const distanceBefore = () => (from > 0 ? at - sorted[from - 1]! : Number.POSITIVE_INFINITY);
  const distanceAfter = () => (to < sorted.length ? sorted[to]! - at : Number.POSITIVE_INFINITY);
  let reach = 0;
  for (;;) {
    const next = Math.min(distanceBefore(), distanceAfter());
    if (next === Number.POSITIVE_INFINITY || (to - from >= nearest && next > reach)) break;
    if (distanceBefore() <= distanceAfter()) from--;
    else to++;
    reach = next;
  }
  let hits = 0;
  for (let i = from; i < to; i++) hits += isRight[i]!;
  return { share: shareOf(hits, to - from), from: sorted[from]!, to: sorted[to - 1]!, rank: here / sorted.length };
}

function countAtOrBelow(sorted: Float64Array, at: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}
