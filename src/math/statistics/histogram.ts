import { between } from './numbers';

/** Equal-width bins; `edges` has one more element than `counts`. The last bin includes its upper edge. */
export interface Histogram {
  readonly edges: Float64Array;
  readonly counts: Uint32Array;
  /** Number of values below the first edge and above the last, infinite ones included; NaNs are not counted. */
  readonly below: number;
  readonly above: number;
}

export function evenEdges(from: number, to: number, bins: number): Float64Array {
  return Float64Array.from({ length: bins + 1 }, (_, i) => between(from, to, i / bins));
}

/** Edges for integers from `from` to `to`: at most `bins` bins, each with the same number of integers. */
export function wholeEdges(from: number, to: number, bins: number): Float64Array {
  const numbers = to - from + 1;
  const width = Math.max(1, Math.ceil(numbers / bins));
  return Float64Array.from({ length: Math.ceil(numbers / width) + 1 }, (_, i) => from - 0.5 + i * width);
}

/**
 * Finds the bin of a value between evenly spaced edges. The last bin includes its upper edge. Values below the first
 * edge are in bin -1, values above the last edge in bin `bins`, and NaN is in bin NaN.
 */
export function binFinder(edges: Float64Array): (value: number) => number {
  const bins = edges.length - 1;
  const from = edges[0]!;
  const to = edges[bins]!;
  const width = to - from;
  const perUnit = bins / width;
  const isPlain = width > 0 && Number.isFinite(perUnit) && perUnit > 0;
  const position = (value: number) => {
    if (isPlain) return (value - from) * perUnit;
    if (width === 0) return 0;
    // The width or its inverse overflows.
    const share = Number.isFinite(width) ? (value - from) / width : (value / 4 - from / 4) / (to / 4 - from / 4);
    return share * bins;
  };
  return (value) => {
    if (value < from) return -1;
    if (value > to) return bins;
    let bin = Math.min(bins - 1, Math.floor(position(value)));
    // The position is rounded; the edges decide.
    while (bin > 0 && value < edges[bin]!) bin--;
    while (bin < bins - 1 && value >= edges[bin + 1]!) bin++;
    return bin;
  };
}

export function countValues(values: ArrayLike<number>, edges: Float64Array): Histogram {
  const bins = edges.length - 1;
  const binOf = binFinder(edges);
  const counts = new Uint32Array(bins);
  let below = 0;
  let above = 0;
  for (let i = 0; i < values.length; i++) {
    const bin = binOf(values[i]!);
    if (bin < 0) below++;
    else if (bin >= bins) above++;
    else if (!Number.isNaN(bin)) counts[bin] = counts[bin]! + 1;
  }
  return { edges, counts, below, above };
}
