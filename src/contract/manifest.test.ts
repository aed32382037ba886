import { expect, test } from 'vitest';
import { parseManifest } from './manifest';
import { exampleExplainManifest, exampleHeadsManifest, exampleManifest } from './manifest.example';

test('reads a consistent manifest', () => {
  const manifest = parseManifest(exampleManifest());
  expect(manifest.model.hiddenSize).toBe(192);
  expect(manifest.files['decoder.onnx']?.bytes).toBe(100);
});

test('rejects an unsupported format version, naming both', () => {
  expect(() => parseManifest({ ...exampleManifest(), formatVersion: 2 })).toThrow('version 2; this page supports 1');
});

test('rejects a head for another hidden-state stage, naming both', () => {
  const manifest = exampleManifest();
  manifest.head.stage = 'pre_norm';
  expect(() => parseManifest(manifest)).toThrow('expects pre_norm hidden states, but the model returns post_norm');
});

test('rejects a head for another hidden size, naming both', () => {
  const manifest = exampleManifest();
  manifest.head.hiddenSize = 4096;
  expect(() => parseManifest(manifest)).toThrow("expects hidden size 4096, but the model's is 192");
});

test('rejects a patch grid that does not fill the image', () => {
  const manifest = exampleManifest();
  manifest.image.grid.rows = 23;
  expect(() => parseManifest(manifest)).toThrow('a 23x24 grid of 14 px patches does not fill 336 px');
});

test('rejects a file without a hash', () => {
  const manifest = exampleManifest();
  delete manifest.files['head/fastrm-norm.onnx'];
  expect(() => parseManifest(manifest)).toThrow('no hash for head/fastrm-norm.onnx');
});

test('reads the head’s weights for words, if there are any, and requires their hash', () => {
  expect(parseManifest(exampleManifest()).head.textWeights).toBeUndefined();
  const manifest = exampleManifest();
  manifest.head.textWeights = 'head/fastrm-text.bin';
  expect(() => parseManifest(manifest)).toThrow('no hash for head/fastrm-text.bin');
  manifest.files['head/fastrm-text.bin'] = { sha256: 'a'.repeat(64), bytes: 100 };
  expect(parseManifest(manifest).head.textWeights).toBe('head/fastrm-text.bin');
});

test.each(['https://elsewhere.example/x.onnx', '/x.onnx', 'a/../../x.onnx'])(
  'rejects a path outside its folder: %s',
  (path) => {
    const manifest = exampleManifest();
    manifest.graphs.vision = path;
    expect(() => parseManifest(manifest)).toThrow('graphs.vision');
  },
);

test('names a missing value', () => {
  const { knows: _, ...rest } = exampleManifest();
  expect(() => parseManifest(rest)).toThrow('knows');
});

test('reads the graphs that explain answers, if there are any', () => {
  expect(parseManifest(exampleManifest()).explain).toBeUndefined();
  expect(parseManifest(exampleExplainManifest()).explain?.graphs.chefer).toBe('explain-chefer.onnx');
});

test('rejects an explain graph without a hash, and explain weights that are not loaded at the start', () => {
  const manifest = exampleExplainManifest();
  delete manifest.explain.files['explain-trace.onnx'];
  manifest.explain.weights = 'explain-weights.bin';
  expect(() => parseManifest(manifest)).toThrow('no hash for explain-weights.bin, explain-trace.onnx');
});

test('rejects a method without its graph, naming it', () => {
  const manifest = exampleExplainManifest();
  const { chefer: _, ...graphs } = manifest.explain.graphs;
  expect(() => parseManifest({ ...manifest, explain: { ...manifest.explain, graphs } })).toThrow('chefer');
});

test('reads the heads besides FastRM’s, if there are any', () => {
  expect(parseManifest(exampleManifest()).otherHeads).toBeUndefined();
  const { otherHeads } = parseManifest(exampleHeadsManifest());
  expect(otherHeads?.['fastrm-paper']?.classificationThreshold).toBe(0.5);
  expect(otherHeads?.['fastrm-plus']?.attention.weights).toHaveLength(20);
  const { 'fastrm-paper': paper } = exampleHeadsManifest().otherHeads;
  expect(parseManifest({ ...exampleManifest(), otherHeads: { 'fastrm-paper': paper } }).otherHeads).toEqual({
    'fastrm-paper': paper,
  });
});

test('holds the other heads to the same hidden states as FastRM’s', () => {
  const pre = exampleHeadsManifest();
  pre.otherHeads['fastrm-paper'].stage = 'pre_norm';
  expect(() => parseManifest(pre)).toThrow('head fastrm-paper expects pre_norm hidden states, but the model returns');
  const wide = exampleHeadsManifest();
  wide.otherHeads['fastrm-plus'].hiddenSize = 4096;
  expect(() => parseManifest(wide)).toThrow("head fastrm-plus expects hidden size 4096, but the model's is 192");
});

test.each([0, 19, 21])('rejects %i attention weights for 5 layers of 4 heads', (length) => {
  const manifest = exampleHeadsManifest();
  manifest.otherHeads['fastrm-plus'].attention.weights = new Array(length).fill(1);
  expect(() => parseManifest(manifest)).toThrow(`has ${length} attention weights, but the model's number`);
});

test('rejects a file of another head without a hash among its own files', () => {
  const manifest = exampleHeadsManifest();
  manifest.otherHeads['fastrm-plus'].weights = 'head/fastrm.bin';
  expect(() => parseManifest(manifest)).toThrow('no hash for head/fastrm.bin');
});
