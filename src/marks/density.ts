import type { ScaleLinear } from 'd3-scale';
import { area, curveLinear, line } from 'd3-shape';

/** A density sampled at ascending `xs`, with a pointwise band if there is one. */
export interface DensityColumns {
  readonly xs: ArrayLike<number>;
  readonly density: ArrayLike<number>;
  readonly band?: { readonly low: ArrayLike<number>; readonly high: ArrayLike<number> };
}

export interface DensityPaths {
  readonly line: string;
  /** Empty if there is no band. */
  readonly band: string;
}

export function densityPaths(
  { xs, density, band }: DensityColumns,
  x: ScaleLinear<number, number>,
  y: ScaleLinear<number, number>,
): DensityPaths {
  const indices = indicesOf(xs);
  const stroke = line<number>(
    (i) => round(x(xs[i]!)),
    (i) => round(y(density[i]!)),
  ).curve(curveLinear);
  const fill = area<number>(
    (i) => round(x(xs[i]!)),
    (i) => round(y(band?.low[i] ?? 0)),
    (i) => round(y(band?.high[i] ?? 0)),
  );
  return { line: stroke(indices) ?? '', band: band ? (fill(indices) ?? '') : '' };
}

/** The maximum of all densities and bands; 0 if there are none. */
export function maxDensity(columns: readonly DensityColumns[]): number {
  let max = 0;
  for (const { density, band } of columns) {
    for (let i = 0; i < density.length; i++) max = Math.max(max, density[i]!, band?.high[i] ?? 0);
  }
  return max;
}

/** Interpolates linearly between the two nearest points. Returns 0 outside the range of `xs`. */
export function valueAt(xs: ArrayLike<number>, values: ArrayLike<number>, at: number): number {
  const last = xs.length - 1;
  if (last < 0 || at < xs[0]! || at > xs[last]!) return 0;
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle]! <= at) low = middle;
    else high = middle;
  }
  const width = xs[high]! - xs[low]!;
  const share = width > 0 ? (at - xs[low]!) / width : 0;
  return values[low]! + share * (values[high]! - values[low]!);
}

const indicesOf = (columns: ArrayLike<unknown>) => Array.from({ length: columns.length }, (_, i) => i);
const round = (px: number) => Math.round(px * 10) / 10;
