import { Float16Array } from '@petamoriken/float16';
import { describe, expect, it } from 'vitest';
import { linkHere } from '../workers/worker-here.example';
import type { Head } from './head';
import { createHeadHandlers, type LoadedHead } from './head-service';
import type { FloatTensor } from './tensor';

const file = { path: 'x', sha256: '', bytes: 1 };
const load = { baseUrl: '', graph: file, normGraph: file, weights: file, hiddenSize: 2, backend: 'wasm' } as const;

/** A head whose map is the plain product of query and patches. */
function productHead(): Head {
  let patches: FloatTensor | undefined;
  return {
    backend: 'wasm',
    async setImage(states) {
      if (states.data.some(Number.isNaN)) throw new Error('normalised holds NaN');
      patches = states;
    },
    async maps({ data: q, dims }) {
      const [tokens = 0, d = 0] = dims;
      const count = patches!.dims[0]!;
      const values = Float32Array.from({ length: tokens * count }, (_, at) => {
        const [t, p] = [Math.floor(at / count), at % count];
        return Array.from({ length: d }, (_, i) => q[t * d + i]! * patches!.data[p * d + i]!).reduce((a, b) => a + b);
      });
      return { data: values, dims: [tokens, count] };
    },
    destroy: async () => {},
  };
}

/** The page's end, with the service on this thread. */
const linkOf = (loadHead = async (): Promise<LoadedHead> => ({ head: productHead(), note: 'a note', runtime })) =>
  linkHere(createHeadHandlers(loadHead));

const runtime = { deviceNote: undefined };
const floats = (rows: number, cols: number, ...values: number[]) => ({ values: Float32Array.from(values), rows, cols });
const halfs = (rows: number, cols: number, ...values: number[]) => ({
  values: new Uint16Array(Float16Array.from(values).buffer),
  rows,
  cols,
});

describe("the head's worker", () => {
  it('makes maps of states in fp16 and in float32 alike, several tokens at once', async () => {
    const { ask } = linkOf();
    expect(await ask('load', load)).toEqual({ backend: 'wasm', note: 'a note' });
    await ask('image', { image: 1, patchStates: halfs(3, 2, 1, 2, 3, 4, 0.5, -8) });
    const narrow = await ask('maps', { image: 1, queryStates: halfs(2, 2, 1, 0, 0, 0.25) });
    expect(narrow).toMatchObject({ tokens: 2, backend: 'wasm', values: Float32Array.of(1, 3, 0.5, 0.5, 1, -2) });
    const wide = await ask('maps', { image: 1, queryStates: floats(1, 2, 70000, 0) });
    expect(wide).toMatchObject({ tokens: 1, values: Float32Array.of(70000, 210000, 35000) });
  });

  it('makes none of an image that another has taken the place of', async () => {
    const { ask } = linkOf();
    await ask('load', load);
    await ask('image', { image: 1, patchStates: floats(1, 2, 1, 2) });
    await ask('image', { image: 2, patchStates: floats(1, 2, 3, 4) });
    const queryStates = floats(1, 2, 1, 1);
    await expect(ask('maps', { image: 1, queryStates })).rejects.toThrow("image 1 is not the head's any more");
    expect(await ask('maps', { image: 2, queryStates })).toMatchObject({ tokens: 1 });
  });

  it('says what failed, and goes on with the next', async () => {
    const { ask } = linkOf();
    const patchStates = floats(1, 2, 1, 2);
    await expect(ask('image', { image: 1, patchStates })).rejects.toThrow('states arrived before the head was loaded');
    await ask('load', load);
    const broken = floats(1, 2, Number.NaN, 2);
    await expect(ask('image', { image: 1, patchStates: broken })).rejects.toThrow('normalised holds NaN');
    await expect(ask('image', { image: 2, patchStates })).resolves.toBeUndefined();
  });
});
