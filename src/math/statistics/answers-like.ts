import { type Share, shareOf } from './share';

/** The answers whose values are nearest to a given value. */
export interface NearestAnswers {
  /** The share of right answers. */
  readonly share: Share;
  /** Range of these answers' values. */
  readonly from: number;
  readonly to: number;
  /** Share of all answers whose value is at or below the given value. */
  readonly rank: number;
}

/**
 * Finds the answers closest to the value `at`: `nearest` of them, plus any that are as close as the farthest of these.
 * `sorted` holds values in ascending order; `isRight` holds the classes of the same answers. An infinite value is close
 * to itself only. Undefined if there are no such answers.
 */
export function answersLike(
  sorted: Float64Array,
  isRight: Uint8Array,
  at: number,
  nearest: number,
): NearestAnswers | undefined {
  if (sorted.length === 0 || Number.isNaN(at)) return undefined;
  const atOrBelow = countAtOrBelow(sorted, at);
  let from = atOrBelow;
  let to = atOrBelow;
  const distanceTo = (value: number) => (value === at ? 0 : Math.abs(value - at));
  const distanceBefore = () => (from > 0 ? distanceTo(sorted[from - 1]!) : Number.POSITIVE_INFINITY);
  const distanceAfter = () => (to < sorted.length ? distanceTo(sorted[to]!) : Number.POSITIVE_INFINITY);
  let distance = 0;
  for (;;) {
    const next = Math.min(distanceBefore(), distanceAfter());
    if (next === Number.POSITIVE_INFINITY || (to - from >= nearest && next > distance)) break;
    if (distanceBefore() <= distanceAfter()) from--;
    else to++;
    distance = next;
  }
  if (from === to) return undefined;
  let hits = 0;
  for (let i = from; i < to; i++) hits += isRight[i]!;
  return { share: shareOf(hits, to - from), from: sorted[from]!, to: sorted[to - 1]!, rank: atOrBelow / sorted.length };
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
