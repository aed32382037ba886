// DEX-AR (arXiv 2603.06302): the gradients of each layer's own guess at a token, of the heads that look at the image.

export interface LensGradients {
  /** [T, L, h, n]: max(0, ds/dA) at each token's row, 0 in columns behind it. */
  readonly data: Float32Array;
  readonly dims: readonly [number, number, number, number];
}

/** Where the image's columns lie among the n. */
export interface PatchColumns {
  readonly from: number;
  readonly count: number;
}

export interface DexArMap {
  /** [P] */
  readonly values: Float32Array;
  /** `max(0, max S_img - max S_txt)` over layers and heads: 0 for a token that looks at the text alone. */
  readonly grounding: number;
}

/**
 * Every token's map, for G is min-max scaled over all of them: `sum_{l,h} w G` over the layers from `firstLayer` on,
 * `w = max(0, S_img - S_txt)`, S_img the head's largest G at a patch and S_txt at any other column, both before scaling.
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
    const found = { weighted, weights: 0, image: 0, text: 0 };
    for (let head = firstLayer * heads; head < layers * heads; head++) {
      const row = data.subarray((t * layers * heads + head) * n, (t * layers * heads + head + 1) * n);
      const image = row.subarray(from, to);
      const [least, imageMost] = extent(image);
      const textMost = Math.max(extent(row.subarray(0, from))[1], extent(row.subarray(to))[1]);
      min = Math.min(min, least);
      max = Math.max(max, imageMost);
      found.image = Math.max(found.image, imageMost);
      found.text = Math.max(found.text, textMost);
      const weight = Math.max(0, imageMost - textMost);
      if (weight === 0) continue;
      found.weights += weight;
      for (let j = 0; j < count; j++) weighted[j]! += weight * image[j]!;
    }
    return found;
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
