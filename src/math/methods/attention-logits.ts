// What FastRM+ adds to its logits: the token's attention over the image, reduced to one number per patch.
import type { PatchColumns } from './dex-ar';

/** The attention of one position over the columns up to itself, after the softmax. */
export interface AttentionRows {
  /** [L, h, n] */
  readonly data: Float32Array;
  readonly dims: readonly number[];
}

export interface AttentionWeights {
  /** [L * h], in the order of the rows. */
  readonly weights: readonly number[];
  /** Keeps the logarithm finite where the attention is 0. */
  readonly epsilon: number;
}

/** Returns `sum_f w_f log(a_fj + epsilon)` for each of the image's patches j [P]. */
export function attentionLogits(
  { data, dims: [layers = 0, heads = 0, columns = 0] }: AttentionRows,
  { from, count }: PatchColumns,
  { weights, epsilon }: AttentionWeights,
): Float32Array {
  if (weights.length !== layers * heads) {
    throw new Error(
      `FastRM+ has ${weights.length} attention weights, but the model has ${layers} layers with ${heads} attention heads`,
    );
  }
  return Float32Array.from({ length: count }, (_, j) =>
    weights.reduce((sum, weight, f) => sum + weight * Math.log(data[f * columns + from + j]! + epsilon), 0),
  );
}
