// How far two maps of one token agree. Maps are values a patch, in any unit: only `countBinary` reads them against thresholds.

/** 1 for the least; equal values share the mean of the ranks that they take together. */
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
 * Spearman's rank correlation of two maps given as `averageRanks`, -1..1: Pearson's of the ranks, so that ties count as
 * such. Undefined where one of the maps is constant or has fewer than two patches.
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
 * How much of the strongest `share` (0..1) of the patches each patch belongs to, 0..1, `k = max(1, round(share n))` in
 * all. Patches that tie for the last places share them alike, so that the order of the patches decides nothing.
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

/** Intersection over union of two memberships, 0..1: sum of the lesser over sum of the greater, which for 0 and 1 is the usual one. */
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

/** Patches at or above each map's own threshold. */
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

/** Share of the patches that both maps label alike, 0..1; undefined where there are none. */
export function accuracyOf({ both, onlyFirst, onlySecond, neither }: BinaryCounts): number | undefined {
  const all = both + onlyFirst + onlySecond + neither;
  return all === 0 ? undefined : (both + neither) / all;
}

/** 0..1, the same whichever map counts as the label; undefined where neither reaches its threshold anywhere. */
export function f1Of({ both, onlyFirst, onlySecond }: BinaryCounts): number | undefined {
  const labelled = 2 * both + onlyFirst + onlySecond;
  return labelled === 0 ? undefined : (2 * both) / labelled;
}

function requireSameLength(a: ArrayLike<number>, b: ArrayLike<number>): void {
  if (a.length !== b.length) throw new Error(`maps of ${a.length} and ${b.length} patches cannot be compared`);
}
