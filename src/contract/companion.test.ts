import { expect, test } from 'vitest';
import { parseCompanionModel } from './companion';

const earlier = {
  name: 'random-weights',
  revision: '94c0b4d387c2',
  family: 'LLaVA-1.5',
  hiddenSize: 32,
  stage: 'post_norm',
  dtype: 'float32',
  device: 'cpu',
  knows: 'Nothing.',
  limits: { imageBytes: 1000, imagePixels: 10_000, imageAspectRatio: 100, unembeddingIds: 4 },
  methods: ['chefer'],
  unembedding: true,
  head: null,
  calibration: null,
  trainCommand: 'patchlight train --model random-weights',
};

test('a companion of an earlier version is accepted, without the facts that it does not send', () => {
  expect(parseCompanionModel(earlier)).toEqual({
    ...earlier,
    limits: { ...earlier.limits, images: 1 },
    weights: null,
    refusedMethods: [],
    streamsUnembedding: false,
  });
});

test('a fact that every version sends is required, and named if it is missing', () => {
  expect(() => parseCompanionModel({ ...earlier, hiddenSize: undefined })).toThrow(/hiddenSize/);
});
