import { summariseMap } from './map-values';

/** Each value as its share of the map's greatest, where the labelling threshold lives. A map without any relevancy stays 0. */
export function sharesOfMaximum(values: Float32Array): Float32Array {
  const { max } = summariseMap(values);
  return max > 0 ? values.map((value) => value / max) : new Float32Array(values.length);
}

/** For each patch the share of the others whose value lies below its own, 0..1. Ties share the lower one; a constant map is 0. */
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
    throw new Error(`maps of ${first.length} and ${second.length} patches have no difference`);
  }
  return first.map((value, i) => value - second[i]!);
}

/** The greatest value of several maps at each patch; all must have the same length. Undefined for none. */
export function greatestOfMaps(maps: readonly Float32Array[]): Float32Array | undefined {
  const [first, ...others] = maps;
  if (first === undefined || others.length === 0) return first;
  const greatest = Float32Array.from(first);
  for (const map of others) {
    if (map.length !== first.length) {
      throw new Error(`maps of ${first.length} and ${map.length} patches have no maximum`);
    }
    for (let i = 0; i < greatest.length; i++) greatest[i] = Math.max(greatest[i]!, map[i]!);
  }
  return greatest;
}

/** The mean of several maps, each counted by its weight. Undefined for none, and where all weights are 0. */
export function weightedMeanOfMaps(
  maps: readonly Float32Array[],
  weights: readonly number[],
): Float32Array | undefined {
  const first = maps[0];
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (first === undefined || !(sum > 0)) return undefined;
  const mean = new Float64Array(first.length);
  for (const [at, map] of maps.entries()) {
    if (map.length !== first.length) throw new Error(`maps of ${first.length} and ${map.length} patches have no mean`);
    const weight = (weights[at] ?? 0) / sum;
    for (let i = 0; i < mean.length; i++) mean[i] = mean[i]! + weight * map[i]!;
  }
  return Float32Array.from(mean);
}

/** Of all the relevancy that a token's map and its text weigh, the share that lies on the image, 0..1; undefined where there is none. */
export function imageShare(patches: Float32Array, ...texts: readonly Float32Array[]): number | undefined {
  const sumOf = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0);
  const image = sumOf(patches);
  const all = texts.reduce((sum, text) => sum + sumOf(text), image);
  return all > 0 ? image / all : undefined;
}
