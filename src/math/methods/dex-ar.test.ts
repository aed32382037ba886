import { expect, test } from 'vitest';
import { dexArMaps } from './dex-ar';

/** Two tokens, two layers, one head; columns: text, two patches, text. */
const gradients = {
  data: Float32Array.of(
    ...[1, 3, 2, 0], // token 0, layer 0: focuses on the image, weight 3 - 1
    ...[0, 5, 0, 4], // token 0, layer 1: focuses on the image, weight 5 - 4
    ...[9, 1, 1, 0], // token 1, layer 0: focuses on the text
    ...[0, 2, 0, 8], // token 1, layer 1: focuses on the text
  ),
  dims: [2, 2, 1, 4] as [number, number, number, number],
};
const patches = { from: 1, count: 2 };

test('leaves out heads that focus on text and weights the others by how much more they focus on the image', () => {
  const [first, second] = dexArMaps(gradients, patches, 0);
  // 2 x [3, 2] + 1 x [5, 0], divided by 5, the largest gradient at a patch.
  expect([...first!.values]).toEqual([11 / 5, 4 / 5].map(Math.fround));
  expect([...second!.values]).toEqual([0, 0]);
});

test('the grounding weight is the excess of image gradients over text gradients', () => {
  expect(dexArMaps(gradients, patches, 0).map(({ grounding }) => grounding)).toEqual([1, 0]);
  expect(dexArMaps(gradients, patches, 1).map(({ grounding }) => grounding)).toEqual([1, 0]);
});

test('ignores layers before the first one', () => {
  const [first] = dexArMaps(gradients, patches, 1);
  expect([...first!.values]).toEqual([1, 0]);
});

test('returns a map of zeros if all gradients are 0', () => {
  const none = { data: new Float32Array(16), dims: gradients.dims };
  for (const { values, grounding } of dexArMaps(none, patches, 0)) {
    expect([...values]).toEqual([0, 0]);
    expect(grounding).toBe(0);
  }
});
