import { Float16Array } from '@petamoriken/float16';
import { describe, expect, it } from 'vitest';
import { linkHere } from '../workers/worker-here.example';
import type { Head } from './head';
import { createHeadHandlers, type LoadedHead } from './head-service';
import type { FloatTensor } from './tensor';

const file = { path: 'x', sha256: '', bytes: 1 };
const files = { graph: file, normGraph: file, weights: file, textWeights: null };
const load = { baseUrl: '', ...files, hiddenSize: 2, backend: 'wasm' } as const;

/** [T, n]: the dot products of the rows of `queries` [T, d] and `states` [n, d]. */
function products({ data: q, dims: [tokens = 0, d = 0] }: FloatTensor, { data, dims: [count = 0] }: FloatTensor) {
  const values = Float32Array.from({ length: tokens * count }, (_, at) => {
    const [t, p] = [Math.floor(at / count), at % count];
    return Array.from({ length: d }, (_, i) => q[t * d + i]! * data[p * d + i]!).reduce((a, b) => a + b);
  });
  return { data: values, dims: [tokens, count] };
}

/** A head whose values are plain dot products of query and state. */
function productHead(textProblem?: string): Head {
  let patches: FloatTensor | undefined;
  let prompt: FloatTensor | undefined;
  return {
    backend: 'wasm',
    textProblem,
    readsAttention: false,
    async setImage(states) {
      if (states.data.some(Number.isNaN)) throw new Error('normalised holds NaN');
      patches = states;
    },
    async setPrompt(states) {
      if (textProblem === undefined) prompt = states;
    },
    maps: async (queries) => ({
      patches: products(queries, patches!),
      prompt: prompt && products(queries, prompt),
    }),
    destroy: async () => {},
  };
}

/** The page's side, linked to a service on this thread. */
const linkOf = (head = productHead()) =>
  linkHere(
    createHeadHandlers(async (): Promise<LoadedHead> => ({ head, note: 'a note', textProblem: undefined, runtime })),
  );

const runtime = { deviceNote: undefined };
const floats = (rows: number, cols: number, ...values: number[]) => ({ values: Float32Array.from(values), rows, cols });
const halfs = (rows: number, cols: number, ...values: number[]) => ({
  values: new Uint16Array(Float16Array.from(values).buffer),
  rows,
  cols,
});

describe("the head's worker", () => {
  it('computes maps from fp16 and float32 states, several tokens at once', async () => {
    const { request } = linkOf();
    expect(await request('load', load)).toEqual({ backend: 'wasm', note: 'a note' });
    await request('image', { image: 1, patchStates: halfs(3, 2, 1, 2, 3, 4, 0.5, -8) });
    const narrow = await request('maps', { image: 1, queryStates: halfs(2, 2, 1, 0, 0, 0.25) });
    expect(narrow).toMatchObject({ tokens: 2, backend: 'wasm', values: Float32Array.of(1, 3, 0.5, 0.5, 1, -2) });
    const wide = await request('maps', { image: 1, queryStates: floats(1, 2, 70000, 0) });
    expect(wide).toMatchObject({ tokens: 1, values: Float32Array.of(70000, 210000, 35000) });
  });

  it('rejects maps of an image that has been replaced', async () => {
    const { request } = linkOf();
    await request('load', load);
    await request('image', { image: 1, patchStates: floats(1, 2, 1, 2) });
    await request('image', { image: 2, patchStates: floats(1, 2, 3, 4) });
    const queryStates = floats(1, 2, 1, 1);
    await expect(request('maps', { image: 1, queryStates })).rejects.toThrow("image 1 is no longer the head's image");
    expect(await request('maps', { image: 2, queryStates })).toMatchObject({ tokens: 1 });
  });

  it('computes the values of the prompt’s words once their states arrive', async () => {
    const { request } = linkOf();
    await request('load', load);
    await request('image', { image: 1, patchStates: floats(1, 2, 1, 2) });
    const queryStates = floats(2, 2, 1, 0, 0, 1);
    expect(await request('maps', { image: 1, queryStates })).toMatchObject({ promptValues: undefined });
    await request('prompt', { image: 1, promptStates: halfs(3, 2, 1, 2, 3, 4, 5, 6) });
    expect(await request('maps', { image: 1, queryStates })).toMatchObject({
      values: Float32Array.of(1, 2),
      promptValues: Float32Array.of(1, 3, 5, 2, 4, 6),
    });
  });

  it('refuses the prompt of an image that has been replaced', async () => {
    const { request } = linkOf();
    await request('load', load);
    await request('image', { image: 2, patchStates: floats(1, 2, 1, 2) });
    const prompt = request('prompt', { image: 1, promptStates: floats(1, 2, 1, 2) });
    await expect(prompt).rejects.toThrow("image 1 is no longer the head's image");
  });

  it('says why there are no values for words, next to why the backend is not used', async () => {
    const { request } = linkOf(productHead('The output for words holds NaN'));
    const report = { backend: 'wasm', note: 'a note. The output for words holds NaN' };
    expect(await request('load', load)).toEqual(report);
    await request('image', { image: 1, patchStates: floats(1, 2, 1, 2) });
    await request('prompt', { image: 1, promptStates: floats(1, 2, 1, 2) });
    const maps = await request('maps', { image: 1, queryStates: floats(1, 2, 1, 1) });
    expect(maps).toMatchObject({ ...report, values: Float32Array.of(3), promptValues: undefined });
  });

  it('reports a failure and continues with the next request', async () => {
    const { request } = linkOf();
    const patchStates = floats(1, 2, 1, 2);
    await expect(request('image', { image: 1, patchStates })).rejects.toThrow(
      'states arrived before the head was loaded',
    );
    await request('load', load);
    const broken = floats(1, 2, Number.NaN, 2);
    await expect(request('image', { image: 1, patchStates: broken })).rejects.toThrow('normalised holds NaN');
    await expect(request('image', { image: 2, patchStates })).resolves.toBeUndefined();
  });
});
