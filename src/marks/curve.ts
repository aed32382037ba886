import type { ScaleLinear } from 'd3-scale';
import { area, line } from 'd3-shape';

/** SVG path data of a line through (x, y), with gaps at non-finite y values. */
export function curvePathData(
  xs: ArrayLike<number>,
  ys: ArrayLike<number>,
  x: ScaleLinear<number, number>,
  y: ScaleLinear<number, number>,
): string {
  const indices = Array.from({ length: xs.length }, (_, i) => i);
  const path = line<number>(
    (i) => round(x(xs[i]!)),
    (i) => round(y(ys[i]!)),
  ).defined((i) => Number.isFinite(ys[i]));
  return path(indices) ?? '';
}

/** SVG path data of the area between (x, low) and (x, high), with gaps where either is not finite. */
export function bandPathData(
  xs: ArrayLike<number>,
  low: ArrayLike<number>,
  high: ArrayLike<number>,
  x: ScaleLinear<number, number>,
  y: ScaleLinear<number, number>,
): string {
  const indices = Array.from({ length: xs.length }, (_, i) => i);
  const path = area<number>(
    (i) => round(x(xs[i]!)),
    (i) => round(y(low[i]!)),
    (i) => round(y(high[i]!)),
  ).defined((i) => Number.isFinite(low[i]) && Number.isFinite(high[i]));
  return path(indices) ?? '';
}

/** Index of the largest finite y; undefined if there is none. */
export function peakIndex(ys: ArrayLike<number>): number | undefined {
  let peak: number | undefined;
  for (let i = 0; i < ys.length; i++) {
    if (Number.isFinite(ys[i]) && (peak === undefined || ys[i]! > ys[peak]!)) peak = i;
  }
  return peak;
}

/** Index of the x nearest to `at`; undefined if `xs` is empty. */
export function nearestIndex(xs: ArrayLike<number>, at: number): number | undefined {
  let nearest: number | undefined;
  for (let i = 0; i < xs.length; i++) {
    if (nearest === undefined || Math.abs(xs[i]! - at) < Math.abs(xs[nearest]! - at)) nearest = i;
  }
  return nearest;
}

const round = (px: number) => Math.round(px * 10) / 10;
