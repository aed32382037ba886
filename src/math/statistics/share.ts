/** `hits` out of `n` with the 95 % Wilson score interval, which stays within 0..1 and is reliable for small n. */
export interface Share {
  readonly hits: number;
  readonly n: number;
  /** NaN if n is 0; the interval is then 0..1. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** The 97.5th percentile of the standard normal distribution. */
const z95 = 1.959963984540054;

/** Wilson (1927), without continuity correction, as SciPy's `binomtest(hits, n).proportion_ci(method='wilson')`. */
export function shareOf(hits: number, n: number): Share {
  if (n === 0) return { hits, n, value: Number.NaN, low: 0, high: 1 };
  const p = hits / n;
  const z2 = z95 * z95;
  const middle = (p + z2 / (2 * n)) / (1 + z2 / n);
  const half = (z95 / (1 + z2 / n)) * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n));
  // Avoid rounding noise when the interval ends at exactly 0 or 1.
  const low = hits === 0 ? 0 : middle - half;
  const high = hits === n ? 1 : middle + half;
  return { hits, n, value: p, low, high };
}
