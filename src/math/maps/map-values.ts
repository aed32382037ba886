/** The mean of several maps at each patch; all must have the same length. Undefined if there are no maps. */
export function averageMaps(maps: readonly Float32Array[]): Float32Array | undefined {
  const first = maps[0];
  if (first === undefined) return undefined;
  if (maps.length === 1) return first;
  const mean = new Float32Array(first.length);
  for (const map of maps) {
    if (map.length !== first.length)
      throw new Error(`cannot average maps of ${first.length} and ${map.length} patches`);
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

/** Ranks from 1 for the maximum; equal values share the better rank. */
export function ranksDescending(values: Float32Array): Uint32Array {
  const order = Uint32Array.from(values, (_, i) => i).sort((a, b) => values[b]! - values[a]!);
  const ranks = new Uint32Array(values.length);
  for (let i = 0; i < order.length; i++) {
    const patch = order[i]!;
    const previous = order[i - 1];
    ranks[patch] = previous !== undefined && values[previous] === values[patch] ? ranks[previous]! : i + 1;
  }
  return ranks;
}
