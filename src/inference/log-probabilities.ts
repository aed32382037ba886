export interface Likely {
  readonly tokenId: number;
  readonly logProb: number;
}

/** The `count` most likely tokens, most likely first; ties are ordered by id, so that the first equals PyTorch's argmax. */
export function mostLikely(logits: Float32Array, count: number): Likely[] {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const sum = logits.reduce((total, value) => total + Math.exp(value - largest), 0);
  const logSum = largest + Math.log(sum);
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  return order.slice(0, count).map((tokenId) => ({ tokenId, logProb: logits[tokenId]! - logSum }));
}
