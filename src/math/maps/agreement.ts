// Measures how well two maps of one token agree. Maps hold one value per patch, in any unit; only `countBinary` uses
// thresholds.

/** Ascending ranks from 1; equal values share their mean rank. */
export function averageRanks(values: Float32Array): Float64Array {
  const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const ranks = new Float64Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + 1 + end) / 2;
    start = end;
  }
  return ranks;
}

/**
 * Spearman's rank correlation of two maps, -1..1, from their `averageRanks`. Computed as Pearson's correlation of the
 * ranks, which handles ties. Undefined if either map is constant or has fewer than two patches.
 */
export function rankCorrelation(a: Float64Array, b: Float64Array): number | undefined {
  requireSameLength(a, b);
  const mean = (a.length + 1) / 2;
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    const da = a[i]! - mean;
    const db = b[i]! - mean;
    ab += da * db;
    aa += da * da;
    bb += db * db;
  }
  return aa === 0 || bb === 0 ? undefined : Math.min(1, Math.max(-1, ab / Math.sqrt(aa * bb)));
}

/**
 * The degree, 0..1, to which each patch is among the strongest `share` (0..1) of the patches. Degrees sum to
 * `k = max(1, round(share n))`: patches tied for the last places share them equally, so patch order does not matter.
 */
export function topMembership(values: Float32Array, share: number): Float64Array {
  const k = Math.max(1, Math.round(share * values.length));
  const last = Float32Array.from(values).sort()[values.length - k];
  const membership = new Float64Array(values.length);
  if (last === undefined) return membership;
  let above = 0;
  let tied = 0;
  for (const value of values) {
    if (value > last) above++;
    else if (value === last) tied++;
  }
  for (let i = 0; i < values.length; i++) {
    if (values[i]! > last) membership[i] = 1;
    else if (values[i] === last) membership[i] = (k - above) / tied;
  }
  return membership;
}

/** Intersection over union of two memberships, 0..1: the sum of minima over the sum of maxima (for 0 and 1, the usual IoU). */
export function membershipIou(a: Float64Array, b: Float64Array): number {
  requireSameLength(a, b);
  let intersection = 0;
  let union = 0;
  for (let i = 0; i < a.length; i++) {
    intersection += Math.min(a[i]!, b[i]!);
    union += Math.max(a[i]!, b[i]!);
  }
  return union === 0 ? 0 : intersection / union;
}

export interface BinaryCounts {
  readonly both: number;
  readonly onlyFirst: number;
  readonly onlySecond: number;
  readonly neither: number;
}

/** Counts patches at or above their map's threshold in both maps, in only one, or in neither. */
export function countBinary(
  first: Float32Array,
  firstThreshold: number,
  second: Float32Array,
  secondThreshold: number,
): BinaryCounts {
  requireSameLength(first, second);
  const counts = { both: 0, onlyFirst: 0, onlySecond: 0, neither: 0 };
  for (let i = 0; i < first.length; i++) {
    const isFirst = first[i]! >= firstThreshold;
    const isSecond = second[i]! >= secondThreshold;
    if (isFirst && isSecond) counts.both++;
    else if (isFirst) counts.onlyFirst++;
    else if (isSecond) counts.onlySecond++;
    else counts.neither++;
  }
  return counts;
}

/** Share of patches that both maps label the same, 0..1; undefined if there are no patches. */
export function accuracyOf({ both, onlyFirst, onlySecond, neither }: BinaryCounts): number | undefined {
  const all = both + onlyFirst + onlySecond + neither;
  return all === 0 ? undefined : (both + neither) / all;
}

/** F1 score, 0..1; the same whichever map is taken as the labels. Undefined if no patch reaches either threshold. */
export function f1Of({ both, onlyFirst, onlySecond }: BinaryCounts): number | undefined {
  const labelled = 2 * both + onlyFirst + onlySecond;
  return labelled === 0 ? undefined : (2 * both) / labelled;
}

function requireSameLength(a: ArrayLike<number>, b: ArrayLike<number>): void {
  if (a.length !== b.length) throw new Error(`maps of ${a.length} and ${b.length} patches cannot be compared`);
}
