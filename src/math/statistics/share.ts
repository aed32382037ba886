/** So many of n, with Wilson's score interval (95 %): it stays within 0..1 and means something for small n. */
export interface Share {
  readonly hits: number;
  readonly n: number;
  /** NaN where n is 0; then the interval is 0..1. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** The normal distribution's 97.5 % point. */
const z95 = 1.959963984540054;

/** Wilson 1927, without continuity correction; SciPy's `binomtest(hits, n).proportion_ci(method='wilson')`. */
export function shareOf(hits: number, n: number): Share {
  if (n === 0) return { hits, n, value: Number.NaN, low: 0, high: 1 };
  const p = hits / n;
  const z2 = z95 * z95;
  const middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const half = (z95 / (1 + z2 / n)) * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n));
  // What rounding leaves of an interval that ends at 0 or 1 is no number of its own.
  const low = hits === 0 ? 0 : middle - half;
  const high = hits === n ? 1 : middle + half;
  return { hits, n, value: p, low, high };
}
