/** The mean of several maps, patch by patch; all must have the same length. Undefined for none. */
export function averageMaps(maps: readonly Float32Array[]): Float32Array | undefined {
  const first = maps[0];
  if (first === undefined) return undefined;
  if (maps.length === 1) return first;
  const mean = new Float32Array(first.length);
  for (const map of maps) {
    if (map.length !== first.length) throw new Error(`maps of ${first.length} and ${map.length} patches have no mean`);
    for (let i = 0; i < mean.length; i++) mean[i] = mean[i]! + map[i]! / maps.length;
  }
  return mean;
}

export interface MapSummary {
  readonly min: number;
  readonly max: number;
  readonly maxIndex: number;
}

export function summariseMap(values: Float32Array): MapSummary {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let maxIndex = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    if (value > max) {
      max = value;
      maxIndex = i;
    }
  }
  return { min, max, maxIndex };
}

export function countAtOrAbove(values: Float32Array, threshold: number): number {
  let count = 0;
  for (const value of values) if (value >= threshold) count++;
  return count;
}

/** 1 for the greatest; equal values share the better rank. */
export function ranksDescending(values: Float32Array): Uint32Array {
  const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => values[b]! - values[a]!);
  const ranks = new Uint32Array(values.length);
  for (let place = 0; place < order.length; place++) {
    const here = order[place]!;
    const before = order[place - 1];
    ranks[here] = before !== undefined && values[before] === values[here] ? ranks[before]! : place + 1;
  }
  return ranks;
}

/** How many values fall into each of `bins` equal bins over 0..1; 1 itself falls into the last. */
export function countBins(values: Float32Array, bins: number): Uint32Array {
  const counts = new Uint32Array(bins);
  for (const value of values) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(value * bins)));
    counts[bin] = counts[bin]! + 1;
  }
  return counts;
}
