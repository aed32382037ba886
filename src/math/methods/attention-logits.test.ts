import { expect, test } from 'vitest';
import { attentionLogits } from './attention-logits';

/** 2 layers, 2 attention heads, 5 columns. */
const rows = {
  data: Float32Array.of(
    ...[0.5, 0.25, 0.125, 0, 0.125],
    ...[0, 0.5, 0.5, 0, 0],
    ...[0.2, 0.2, 0.2, 0.2, 0.2],
    ...[1, 0, 0, 0, 0],
  ),
  dims: [2, 2, 5],
};
const weights = [0.5, -1, 2, 0.25];
const epsilon = 1e-6;

test('sums the weighted logarithms over layers and attention heads, for the columns of the image only', () => {
  const log = (value: number) => Math.log(value + epsilon);
  const logits = attentionLogits(rows, { from: 1, count: 3 }, { weights, epsilon });
  const expected = [
    0.5 * log(0.25) - log(0.5) + 2 * log(0.2) + 0.25 * log(0),
    0.5 * log(0.125) - log(0.5) + 2 * log(0.2) + 0.25 * log(0),
    0.5 * log(0) - log(0) + 2 * log(0.2) + 0.25 * log(0),
  ];
  expect(logits).toHaveLength(3);
  // float32 results, and 0.2 in float32.
  for (const [j, value] of expected.entries()) expect(logits[j]).toBeCloseTo(value, 5);
});

test('refuses weights of another number of layers or attention heads, with both numbers', () => {
  expect(() => attentionLogits(rows, { from: 1, count: 3 }, { weights: [1, 2, 3], epsilon })).toThrow(
    'FastRM+ has 3 attention weights, but the model has 2 layers with 2 attention heads',
  );
});
