// DEX-AR (arXiv 2603.06302): gradients of each layer's own prediction of a token, over attention heads that focus on the
// image.

export interface LensGradients {
  /** [T, L, h, n]: max(0, ds/dA) in each token's row; 0 in later columns. */
  readonly data: Float32Array;
  readonly dims: readonly [number, number, number, number];
}

/** The range of image columns within the n columns. */
export interface PatchColumns {
  readonly from: number;
  readonly count: number;
}

export interface DexArMap {
  /** [P] */
  readonly values: Float32Array;
  /** Grounding weight, `max(0, max S_img - max S_txt)` over layers and heads: 0 for a token that focuses only on text. */
  readonly grounding: number;
}

/**
 * Computes the maps of all tokens together, because G is min-max scaled over all of them. A map is `sum_{l,h} w G` over
 * layers from `firstLayer` on, with `w = max(0, S_img - S_txt)`: S_img and S_txt are the head's largest G at a patch
 * and at any other column, respectively, both before scaling.
 */
export function dexArMaps(
  { data, dims }: LensGradients,
  { from, count }: PatchColumns,
  firstLayer: number,
): readonly DexArMap[] {
  const [tokens, layers, heads, n] = dims;
  const to = from + count;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  const sums = Array.from({ length: tokens }, (_, t) => {
    const weighted = new Float64Array(count);
    const sum = { weighted, weights: 0, image: 0, text: 0 };
    for (let head = firstLayer * heads; head < layers * heads; head++) {
      const row = data.subarray((t * layers * heads + head) * n, (t * layers * heads + head + 1) * n);
      const image = row.subarray(from, to);
      const [imageMin, imageMax] = extent(image);
      const textMax = Math.max(extent(row.subarray(0, from))[1], extent(row.subarray(to))[1]);
      min = Math.min(min, imageMin);
      max = Math.max(max, imageMax);
      sum.image = Math.max(sum.image, imageMax);
      sum.text = Math.max(sum.text, textMax);
      const weight = Math.max(0, imageMax - textMax);
      if (weight === 0) continue;
      sum.weights += weight;
      for (let j = 0; j < count; j++) weighted[j]! += weight * image[j]!;
    }
    return sum;
  });
  return sums.map(({ weighted, weights, image, text }) => ({
    values: Float32Array.from(weighted, (sum) => (max > min ? (sum - min * weights) / (max - min) : 0)),
    grounding: Math.max(0, image - text),
  }));
}

function extent(values: Float32Array): [number, number] {
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return [min, max];
}
