import type { ScaleLinear } from 'd3-scale';
import { line } from 'd3-shape';

/** A line through (x, y); places where y is not a number are gaps. */
export function curvePathData(
  xs: ArrayLike<number>,
  ys: ArrayLike<number>,
  x: ScaleLinear<number, number>,
  y: ScaleLinear<number, number>,
): string {
  const places = Array.from({ length: xs.length }, (_, i) => i);
  const path = line<number>(
    (i) => round(x(xs[i]!)),
    (i) => round(y(ys[i]!)),
  ).defined((i) => Number.isFinite(ys[i]));
  return path(places) ?? '';
}

/** Index of the greatest y that is a number; undefined where there is none. */
export function peakIndex(ys: ArrayLike<number>): number | undefined {
  let found: number | undefined;
  for (let i = 0; i < ys.length; i++) {
    if (Number.isFinite(ys[i]) && (found === undefined || ys[i]! > ys[found]!)) found = i;
  }
  return found;
}

/** Index of the x nearest to `at`; xs ascending. Undefined for none. */
export function nearestIndex(xs: ArrayLike<number>, at: number): number | undefined {
  let found: number | undefined;
  for (let i = 0; i < xs.length; i++) {
    if (found === undefined || Math.abs(xs[i]! - at) < Math.abs(xs[found]! - at)) found = i;
  }
  return found;
}

const round = (px: number) => Math.round(px * 10) / 10;
