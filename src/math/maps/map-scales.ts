import { summariseMap } from './map-values';

/** Values as shares of the map's maximum, the scale of the labelling threshold. A map without relevancy stays 0. */
export function sharesOfMaximum(values: Float32Array): Float32Array {
  const { max } = summariseMap(values);
  return max > 0 ? values.map((value) => value / max) : new Float32Array(values.length);
}

/** For each patch, the share of other patches with a lower value, 0..1; a constant map is 0. */
export function percentiles(values: Float32Array): Float32Array {
  const ascending = Float32Array.from(values).sort();
  const others = Math.max(1, values.length - 1);
  const below = new Map<number, number>();
  for (let i = ascending.length - 1; i >= 0; i--) below.set(ascending[i]!, i);
  return values.map((value) => (below.get(value) ?? 0) / others);
}

/** first - second, patch by patch. */
export function differenceOf(first: Float32Array, second: Float32Array): Float32Array {
  if (first.length !== second.length) {
    throw new Error(`cannot subtract maps of ${first.length} and ${second.length} patches`);
  }
  return first.map((value, i) => value - second[i]!);
}

/** The maximum of several maps at each patch; all must have the same length. Undefined if there are no maps. */
export function greatestOfMaps(maps: readonly Float32Array[]): Float32Array | undefined {
  const [first, ...others] = maps;
  if (first === undefined || others.length === 0) return first;
  const maximum = Float32Array.from(first);
  for (const map of others) {
    if (map.length !== first.length) {
      throw new Error(`cannot take the maximum of maps of ${first.length} and ${map.length} patches`);
    }
    for (let i = 0; i < maximum.length; i++) maximum[i] = Math.max(maximum[i]!, map[i]!);
  }
  return maximum;
}

/** The weighted mean of several maps. Undefined if there are no maps or all weights are 0. */
export function weightedMeanOfMaps(
  maps: readonly Float32Array[],
  weights: readonly number[],
): Float32Array | undefined {
  const first = maps[0];
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (first === undefined || !(sum > 0)) return undefined;
  const mean = new Float64Array(first.length);
  for (const [at, map] of maps.entries()) {
    if (map.length !== first.length)
      throw new Error(`cannot average maps of ${first.length} and ${map.length} patches`);
    const weight = (weights[at] ?? 0) / sum;
    for (let i = 0; i < mean.length; i++) mean[i] = mean[i]! + weight * map[i]!;
  }
  return Float32Array.from(mean);
}

/** The share of a token's relevancy that is on the image rather than on text, 0..1; undefined if all relevancy is 0. */
export function imageShare(patches: Float32Array, ...texts: readonly Float32Array[]): number | undefined {
  const sumOf = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0);
  const image = sumOf(patches);
  const all = texts.reduce((sum, text) => sum + sumOf(text), image);
  return all > 0 ? image / all : undefined;
}
