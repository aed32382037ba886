/** Equal-width bins; `edges` has one more element than `counts`. The last bin includes its upper edge. */
export interface Histogram {
  readonly edges: Float64Array;
  readonly counts: Uint32Array;
  /** Number of values outside the edges; NaNs are not counted. */
  readonly outside: number;
}

export function evenEdges(from: number, to: number, bins: number): Float64Array {
  return Float64Array.from({ length: bins + 1 }, (_, i) => (i === bins ? to : from + ((to - from) * i) / bins));
}

/** Edges for integers from `from` to `to`: at most `bins` bins, each with the same number of integers. */
export function wholeEdges(from: number, to: number, bins: number): Float64Array {
  const numbers = to - from + 1;
  const width = Math.max(1, Math.ceil(numbers / bins));
  return Float64Array.from({ length: Math.ceil(numbers / width) + 1 }, (_, i) => from - 0.5 + i * width);
}

export function countValues(values: ArrayLike<number>, edges: Float64Array): Histogram {
  const bins = edges.length - 1;
  const from = edges[0]!;
  const to = edges[bins]!;
  const perUnit = bins / (to - from);
  const counts = new Uint32Array(bins);
  let outside = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value >= from && value <= to) {
      const bin = Math.min(bins - 1, Math.floor((value - from) * perUnit));
      counts[bin] = counts[bin]! + 1;
    } else if (value < from || value > to) outside++;
  }
  return { edges, counts, outside };
}
