import { expect, test } from 'vitest';
import { dexArMaps } from './dex-ar';

/** Two tokens, two layers, one head; columns: text, two patches, text. */
const gradients = {
  data: Float32Array.of(
    ...[1, 3, 2, 0], // token 0, layer 0: looks at the image by 3 - 1
    ...[0, 5, 0, 4], // token 0, layer 1: by 5 - 4
    ...[9, 1, 1, 0], // token 1, layer 0: at the text
    ...[0, 2, 0, 8], // token 1, layer 1: at the text
  ),
  dims: [2, 2, 1, 4] as [number, number, number, number],
};
const patches = { from: 1, count: 2 };

test('heads that look at the text are left out, the others weigh by how much more they look at the image', () => {
  const [first, second] = dexArMaps(gradients, patches, 0);
  // Scaled by the largest gradient at a patch, 5: 2 x [3, 2] + 1 x [5, 0].
  expect([...first!.values]).toEqual([11 / 5, 4 / 5].map(Math.fround));
  expect([...second!.values]).toEqual([0, 0]);
});

test("a token's grounding is what its image gradients have over those of its text", () => {
  expect(dexArMaps(gradients, patches, 0).map(({ grounding }) => grounding)).toEqual([1, 0]);
  expect(dexArMaps(gradients, patches, 1).map(({ grounding }) => grounding)).toEqual([1, 0]);
});

test('layers before the first are not read', () => {
  const [first] = dexArMaps(gradients, patches, 1);
  expect([...first!.values]).toEqual([1, 0]);
});

test('no gradient anywhere is a map of zeros', () => {
  const none = { data: new Float32Array(16), dims: gradients.dims };
  for (const { values, grounding } of dexArMaps(none, patches, 0)) {
    expect([...values]).toEqual([0, 0]);
    expect(grounding).toBe(0);
  }
});
