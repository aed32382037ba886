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

test('a head has weights for words only if the companion lists them', () => {
  const file = (name: string) => ({ path: `head/${name}?sha256=${'5'.repeat(64)}`, bytes: 1, sha256: '5'.repeat(64) });
  const files = { graph: file('fastrm.onnx'), normGraph: file('fastrm-norm.onnx'), weights: file('fastrm.bin') };
  const facts = { teacher: 'none', labellingThreshold: 0.3, classificationThreshold: 0.4, hiddenSize: 32 };
  const head = { name: 'h', revision: 'r', stage: 'post_norm', ...facts };
  const parsed = (given: object) => parseCompanionModel({ ...earlier, head: { ...head, files: given } }).head?.files;
  expect(parsed(files)?.textWeights).toBeNull();
  expect(parsed({ ...files, textWeights: null })?.textWeights).toBeNull();
  const textWeights = file('fastrm-text.bin');
  expect(parsed({ ...files, textWeights })?.textWeights).toEqual(textWeights);
});

test('a fact that every version sends is required, and named if it is missing', () => {
  expect(() => parseCompanionModel({ ...earlier, hiddenSize: undefined })).toThrow(/hiddenSize/);
});
