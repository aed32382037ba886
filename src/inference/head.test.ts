// Compares the head's graph, as companion/src/patchlight/head/folded.py writes it for any width, with the paper's form in
// float64: LayerNorm, query and key projections, sigmoid of the scaled product. Uses onnxruntime-web's WASM build in Node.
import { readFileSync } from 'node:fs';
import { Float16Array } from '@petamoriken/float16';
import * as ort from 'onnxruntime-web';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { chooseHead, createHead, type Head } from './head';
import { createRuntime } from './runtime';

const d = 48;
const patchCount = 40;
const queryCount = 5;

type Matrix = readonly Float64Array[];

let seed = 7;
function uniform(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 31 - 1;
}
const vector = (n: number, scale: number, shift = 0) =>
  Float64Array.from({ length: n }, () => shift + scale * uniform());
const matrix = (rows: number, cols: number, scale: number): Matrix =>
  Array.from({ length: rows }, () => vector(cols, scale));
const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const column = (m: Matrix, j: number) => Float64Array.from(m, (row) => row[j]!);

/** LayerNorm without the affine part. */
function normalised(x: Float64Array): Float64Array {
  const mean = x.reduce((sum, value) => sum + value, 0) / d;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / d;
  return x.map((value) => (value - mean) / Math.sqrt(variance + 1e-5));
}

const gain = vector(d, 0.5, 1);
const shift = vector(d, 0.3);
const W_q = matrix(d, d, 0.6);
const W_k = matrix(d, d, 0.6);
const b_q = vector(d, 0.3);
const b_k = vector(d, 0.3);
// float32, so that the graph and the reference start from the same numbers.
const states = (rows: number) =>
  matrix(rows, d, 3).map((row) => row.map((value, i) => Math.fround(value * (1 + (i % 7)))));
const patches = states(patchCount);
const queries = states(queryCount);

function paperProbabilities(): number[] {
  const layerNorm = (x: Float64Array) => normalised(x).map((value, i) => value * gain[i]! + shift[i]!);
  const project = (W: Matrix, b: Float64Array, x: Float64Array) =>
    Float64Array.from(W, (row, i) => dot(row, x) + b[i]!);
  const keys = patches.map((x) => project(W_k, b_k, layerNorm(x)));
  return queries.flatMap((x) => {
    const q = project(W_q, b_q, layerNorm(x));
    return keys.map((k) => 1 / (1 + Math.exp(-dot(q, k) / Math.sqrt(d))));
  });
}

// The second set of weights is made in its folded form, so that its reference shares nothing with the folding.
const promptCount = 7;
const words = states(promptCount);
const text = { M: matrix(d, d, 0.1), v: vector(d, 0.4), w: vector(d, 0.4), s: -1.5 };

/** p = sigmoid(n_q M n_j + v n_j + w n_q + s), one product after the other, of the normalised states n. */
function wordProbabilities(): number[] {
  return queries.flatMap((query) => {
    const n_q = normalised(query);
    return words.map((word) => {
      const n_j = normalised(word);
      let logit = text.s;
      for (let i = 0; i < d; i++) {
        logit += text.v[i]! * n_j[i]! + text.w[i]! * n_q[i]!;
        for (let k = 0; k < d; k++) logit += n_q[i]! * text.M[i]![k]! * n_j[k]!;
      }
      return 1 / (1 + Math.exp(-logit));
    });
  });
}

/** fastrm.bin: M [d, d] in fp16, then v, w, scale, s in fp32; folded in float64 and rounded once. */
function foldedWeights(change = (rest: Float32Array) => rest): Uint8Array {
  const c_q = W_q.map((row, i) => dot(row, shift) + b_q[i]!);
  const c_k = W_k.map((row, i) => dot(row, shift) + b_k[i]!);
  const scaled = (W: Matrix, by: number) => W.map((row) => row.map((value, j) => value * gain[j]! * by));
  const root = 1 / Math.sqrt(d);
  const [Q, K] = [scaled(W_q, root), scaled(W_k, 1)];
  const M = Array.from({ length: d * d }, (_, at) => dot(column(Q, Math.floor(at / d)), column(K, at % d)));
  const v = Array.from({ length: d }, (_, j) =>
    dot(
      Float64Array.from(c_q, (c) => c * root),
      column(K, j),
    ),
  );
  const w = Array.from({ length: d }, (_, j) => dot(Float64Array.from(c_k), column(Q, j)));
  const s = c_q.reduce((sum, c, i) => sum + c * c_k[i]! * root, 0);
  return weightFile(M, v, w, s, change);
}

function weightFile(
  M: ArrayLike<number>,
  v: ArrayLike<number>,
  w: ArrayLike<number>,
  s: number,
  change = (rest: Float32Array) => rest,
): Uint8Array {
  const scale = 2 ** -10;
  const rest = change(Float32Array.from([...Array.from(v), ...Array.from(w), scale, s]));
  const bytes = new Uint8Array(d * d * 2 + rest.byteLength);
  bytes.set(new Uint8Array(Float16Array.from(Array.from(M), (m) => m / scale).buffer));
  bytes.set(new Uint8Array(rest.buffer), d * d * 2);
  return bytes;
}

const flat = (rows: Matrix) => ({ data: Float32Array.from(rows.flatMap((row) => [...row])), dims: [rows.length, d] });
const graph = (file: string) => new Uint8Array(readFileSync(new URL(`fixtures/head-48/${file}`, import.meta.url)));

let head: Head;

const textWeights = (change?: (rest: Float32Array) => Float32Array) =>
  weightFile(
    text.M.flatMap((row) => [...row]),
    text.v,
    text.w,
    text.s,
    change,
  );

function headOf(weights: Uint8Array, ofText?: Uint8Array, file = 'fastrm.onnx'): Promise<Head> {
  const graphWith = (name: string, data: Uint8Array) => {
    return { name, graph: graph(file), external: [{ path: 'fastrm.bin', data }] };
  };
  const files = {
    norm: { name: 'norm', graph: graph('fastrm-norm.onnx') },
    head: graphWith('head', weights),
    text: ofText && graphWith('text', ofText),
  };
  return createHead(createRuntime(ort, { threads: 1 }), files, 'wasm');
}

beforeAll(async () => {
  ort.env.wasm.numThreads = 1;
  head = await headOf(foldedWeights());
});

test('refuses a token before an image is set', async () => {
  await expect(head.maps(flat(queries))).rejects.toThrow('no image');
});

test("gives the paper's probabilities for a batch of tokens", async () => {
  await head.setImage(flat(patches));
  const { patches: map, prompt } = await head.maps(flat(queries));
  const { data, dims } = map;
  expect(prompt).toBeUndefined();
  expect(dims).toEqual([queryCount, patchCount]);
  const expected = paperProbabilities();
  expect(Math.max(...expected) - Math.min(...expected), 'the maps are not flat').toBeGreaterThan(0.9);
  // Rounding M to fp16 causes a relative error of 2^-11 per entry; logits are around 10.
  for (const [i, value] of expected.entries()) expect(Math.abs(data[i]! - value)).toBeLessThan(2e-3);
});

test('computes the same map for a single token as in a batch', async () => {
  await head.setImage(flat(patches));
  const { patches: batch } = await head.maps(flat(queries));
  const { patches: single } = await head.maps(flat(queries.slice(3, 4)));
  const row = batch.data.slice(3 * patchCount, 4 * patchCount);
  for (const [i, value] of row.entries()) expect(single.data[i]).toBeCloseTo(value, 5);
});

test('uses the most recently set image', async () => {
  await head.setImage(flat(patches));
  const { patches: first } = await head.maps(flat(queries));
  await head.setImage(flat([...patches].reverse()));
  const { patches: second } = await head.maps(flat(queries));
  expect(second.data[0]).toBeCloseTo(first.data[patchCount - 1]!, 5);
});

test.for([
  ['0 everywhere', -1e6, 'holds 200 zeros'],
  ['not finite', Number.NaN, 'holds NaN'],
] as const)('says why there is no map if the probabilities are %s', async ([, lastValue, problem]) => {
  const broken = await headOf(foldedWeights((rest) => rest.fill(lastValue, -1)));
  await broken.setImage(flat(patches));
  await expect(broken.maps(flat(queries))).rejects.toThrow(/Its training has probably failed.*another head.*holds/s);
  await expect(broken.maps(flat(queries))).rejects.toThrow(problem);
});

describe('a head that reads attention', () => {
  const logits = Float32Array.from({ length: queryCount * patchCount }, (_, i) => Math.sin(i) * 3);
  const attention = { data: logits, dims: [queryCount, patchCount] };
  const plusHead = () => headOf(foldedWeights(), undefined, 'fastrm-attention.onnx');

  test('adds the attention logits to those of the states', async () => {
    const plus = await plusHead();
    expect([plus.readsAttention, head.readsAttention]).toEqual([true, false]);
    await plus.setImage(flat(patches));
    const { patches: map } = await plus.maps(flat(queries), attention);
    const expected = paperProbabilities().map((p, i) => 1 / (1 + (1 / p - 1) * Math.exp(-logits[i]!)));
    // M rounded to fp16, as above.
    for (const [i, value] of expected.entries()) expect(Math.abs(map.data[i]! - value)).toBeLessThan(2e-3);
  });

  test('gives no map without them', async () => {
    const plus = await plusHead();
    await plus.setImage(flat(patches));
    await expect(plus.maps(flat(queries))).rejects.toThrow('reads attention besides hidden states');
  });

  test('is chosen by a comparison that gives it attention too', async () => {
    const external = [{ path: 'fastrm.bin', data: foldedWeights() }];
    const files = {
      norm: { name: 'norm', graph: graph('fastrm-norm.onnx') },
      head: { name: 'head', graph: graph('fastrm-attention.onnx'), external },
    };
    // Node has no WebGPU, so the second head falls back to WASM too.
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const device = { lost: new Promise(() => {}) } as GPUDevice;
    const runtime = createRuntime(ort, { threads: 1, device });
    await expect(chooseHead(runtime, files, d)).resolves.toMatchObject({ head: { backend: 'wasm' } });
    expect(warn).toHaveBeenCalledOnce();
  });
});

describe('the output for words', () => {
  test("gives the formula's probabilities, next to unchanged ones for the patches", async () => {
    const both = await headOf(foldedWeights(), textWeights());
    await both.setImage(flat(patches));
    await both.setPrompt(flat(words));
    const { patches: map, prompt } = await both.maps(flat(queries));
    expect(prompt?.dims).toEqual([queryCount, promptCount]);
    const expected = wordProbabilities();
    expect(Math.max(...expected) - Math.min(...expected), 'the words differ').toBeGreaterThan(0.9);
    // M rounded to fp16, as above.
    for (const [i, value] of expected.entries()) expect(Math.abs(prompt!.data[i]! - value)).toBeLessThan(2e-3);
    await head.setImage(flat(patches));
    expect(map.data).toEqual((await head.maps(flat(queries))).patches.data);
    expect(both.textProblem).toBeUndefined();
  });

  test('belongs to the last prompt about this image', async () => {
    const both = await headOf(foldedWeights(), textWeights());
    await both.setImage(flat(patches));
    expect((await both.maps(flat(queries))).prompt, 'no prompt yet').toBeUndefined();
    await both.setPrompt(flat(words));
    const { prompt: first } = await both.maps(flat(queries));
    await both.setPrompt(flat([...words].reverse()));
    const { prompt: second } = await both.maps(flat(queries));
    expect(second!.data[0]).toBeCloseTo(first!.data[promptCount - 1]!, 5);
    await both.setImage(flat(patches));
    expect((await both.maps(flat(queries))).prompt, 'of the previous image').toBeUndefined();
  });

  test.for([
    ['0 everywhere', () => textWeights((rest) => rest.fill(-1e6, -1)), 'holds 35 zeros'],
    ['not finite', () => textWeights((rest) => rest.fill(Number.NaN, -1)), 'holds NaN'],
    ['made from a file that is too short', () => textWeights().subarray(0, 64), ''],
  ] as const)('is left out with a reason if it is %s; the patches keep their map', async ([, weights, problem]) => {
    const both = await headOf(foldedWeights(), weights());
    await both.setImage(flat(patches));
    await both.setPrompt(flat(words));
    await head.setImage(flat(patches));
    const { patches: expected } = await head.maps(flat(queries));
    for (let i = 0; i < 2; i++) {
      const { patches: map, prompt } = await both.maps(flat(queries));
      expect(map.data).toEqual(expected.data);
      expect(prompt).toBeUndefined();
    }
    expect(both.textProblem).toContain('output for words cannot be used');
    expect(both.textProblem).toContain(problem);
  });
});
