import { expect, test } from 'vitest';
import { parseManifest } from './manifest';
import { exampleExplainManifest, exampleManifest } from './manifest.example';

test('reads a manifest that fits together', () => {
  const manifest = parseManifest(exampleManifest());
  expect(manifest.model.hiddenSize).toBe(192);
  expect(manifest.files['decoder.onnx']?.bytes).toBe(100);
});

test('refuses a format that it does not know, with both numbers', () => {
  expect(() => parseManifest({ ...exampleManifest(), formatVersion: 2 })).toThrow('version 2; this page reads 1');
});

test('refuses a head for another stage of the hidden states, naming both', () => {
  const manifest = exampleManifest();
  manifest.head.stage = 'pre_norm';
  expect(() => parseManifest(manifest)).toThrow('reads pre_norm hidden states, the model gives post_norm');
});

test('refuses a head of another width, naming both', () => {
  const manifest = exampleManifest();
  manifest.head.hiddenSize = 4096;
  expect(() => parseManifest(manifest)).toThrow('hidden size 4096, the model gives 192');
});

test('refuses a grid that does not fill the image', () => {
  const manifest = exampleManifest();
  manifest.image.grid.rows = 23;
  expect(() => parseManifest(manifest)).toThrow('a 23x24 grid of 14 px patches does not fill 336 px');
});

test('refuses a file without a hash', () => {
  const manifest = exampleManifest();
  delete manifest.files['head/fastrm-norm.onnx'];
  expect(() => parseManifest(manifest)).toThrow('no hash for head/fastrm-norm.onnx');
});

test.each(['https://elsewhere.example/x.onnx', '/x.onnx', 'a/../../x.onnx'])(
  'refuses a path out of its folder: %s',
  (path) => {
    const manifest = exampleManifest();
    manifest.graphs.vision = path;
    expect(() => parseManifest(manifest)).toThrow('graphs.vision');
  },
);

test('says where a value is missing', () => {
  const { knows: _, ...rest } = exampleManifest();
  expect(() => parseManifest(rest)).toThrow('knows');
});

test('reads what explains answers, where there is that', () => {
  expect(parseManifest(exampleManifest()).explain).toBeUndefined();
  expect(parseManifest(exampleExplainManifest()).explain?.graphs.chefer).toBe('explain-chefer.onnx');
});

test('refuses an explaining graph without a hash, and weights that are not read at the start', () => {
  const manifest = exampleExplainManifest();
  delete manifest.explain.files['explain-trace.onnx'];
  manifest.explain.weights = 'explain-weights.bin';
  expect(() => parseManifest(manifest)).toThrow('no hash for explain-weights.bin, explain-trace.onnx');
});

test('refuses a method without its graph, naming it', () => {
  const manifest = exampleExplainManifest();
  const { chefer: _, ...graphs } = manifest.explain.graphs;
  expect(() => parseManifest({ ...manifest, explain: { ...manifest.explain, graphs } })).toThrow('chefer');
});
