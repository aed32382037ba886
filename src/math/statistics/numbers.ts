// Sums and differences that stay correct for the largest and the smallest doubles.

/** Throws if a value is NaN: NaN has no rank, so it cannot be counted above or below other values. */
export function refuseNaN(values: ArrayLike<number>, name: string): void {
  let n = 0;
  for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i]!)) n++;
  if (n > 0) throw new RangeError(`${n} of ${values.length} ${name} are NaN; leave them out first and count them.`);
}

/** The mean, also of values whose sum overflows. NaN if there are no values. */
export function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  if (Number.isFinite(sum)) return sum / values.length;
  let mean = 0;
  for (let i = 0; i < values.length; i++) mean += values[i]! / values.length;
  return mean;
}

/** The number halfway between two finite numbers. */
export function midpointOf(a: number, b: number): number {
  const sum = a + b;
  return Number.isFinite(sum) ? sum / 2 : a / 2 + b / 2;
}

/** The number at `share` of the way from `from` to `to`; exact at both ends. */
export function between(from: number, to: number, share: number): number {
  const width = to - from;
  if (Number.isFinite(width)) return share === 1 ? to : from + width * share;
  return from * (1 - share) + to * share;
}

export interface Offsets {
  /** (value - minimum) * scale: from 0 to a maximum near 1. */
  readonly offsets: Float64Array;
  /** A power of two. The product may not be a finite number, so divide by the two factors in turn. */
  readonly scale: readonly [number, number];
}

/**
 * The values' distances from their minimum, scaled so that squares of them neither overflow nor underflow. The
 * differences of nearly equal values are exact. Undefined if a value is not finite, or if all values are equal.
 */
export function offsetsOf(values: ArrayLike<number>): Offsets | undefined {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value)) return undefined;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (!(max > min)) return undefined;
  const first = Number.isFinite(max - min) ? 1 : 0.25;
  const exponent = Math.floor(Math.log2(max * first - min * first));
  const second = 2 ** -Math.max(-1020, Math.min(1020, exponent));
  const offsets = Float64Array.from(values, (value) => (value * first - min * first) * second);
  return { offsets, scale: [first, second] };
}
