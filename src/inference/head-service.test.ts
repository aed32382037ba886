import { Float16Array } from '@petamoriken/float16';
import { describe, expect, it, vi } from 'vitest';
import type { Head } from './head';
import type { HeadReply, HeadRequest } from './head-messages';
import { createHeadService, type LoadedHead } from './head-service';
import type { FloatTensor } from './tensor';

type WithoutId<Request> = Request extends unknown ? Omit<Request, 'id'> : never;

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

/** A service with the way to put a request to it and wait for its answer. */
function serviceOf(loadHead = async (): Promise<LoadedHead> => ({ head: productHead(), note: 'a note', runtime })) {
  const replies: HeadReply[] = [];
  const service = createHeadService((reply) => replies.push(reply), loadHead);
  let id = 0;
  const put = async (request: WithoutId<HeadRequest>) => {
    id += 1;
    const mine = id;
    service.receive({ ...request, id: mine } as HeadRequest);
    return vi.waitFor(() => {
      const reply = replies.find((other) => other.id === mine);
      if (reply === undefined) throw new Error('no reply yet');
      return reply;
    });
  };
  return { put };
}

const runtime = { deviceNote: undefined };
const floats = (rows: number, cols: number, ...values: number[]) => ({ values: Float32Array.from(values), rows, cols });
const halfs = (rows: number, cols: number, ...values: number[]) => ({
  values: new Uint16Array(Float16Array.from(values).buffer),
  rows,
  cols,
});

describe("the head's worker", () => {
  it('makes maps of states in fp16 and in float32 alike, several tokens at once', async () => {
    const { put } = serviceOf();
    expect(await put({ type: 'load', load })).toEqual({
      type: 'loaded',
      id: 1,
      report: { backend: 'wasm', note: 'a note' },
    });
    await put({ type: 'image', image: 1, patchStates: halfs(3, 2, 1, 2, 3, 4, 0.5, -8) });
    const narrow = await put({ type: 'maps', image: 1, queryStates: halfs(2, 2, 1, 0, 0, 0.25) });
    expect(narrow).toMatchObject({
      maps: { tokens: 2, backend: 'wasm', values: Float32Array.of(1, 3, 0.5, 0.5, 1, -2) },
    });
    const wide = await put({ type: 'maps', image: 1, queryStates: floats(1, 2, 70000, 0) });
    expect(wide).toMatchObject({ maps: { tokens: 1, values: Float32Array.of(70000, 210000, 35000) } });
  });

  it('makes none of an image that another has taken the place of', async () => {
    const { put } = serviceOf();
    await put({ type: 'load', load });
    await put({ type: 'image', image: 1, patchStates: floats(1, 2, 1, 2) });
    await put({ type: 'image', image: 2, patchStates: floats(1, 2, 3, 4) });
    expect(await put({ type: 'maps', image: 1, queryStates: floats(1, 2, 1, 1) })).toMatchObject({
      type: 'failed',
      reason: "image 1 is not the head's any more",
    });
    expect(await put({ type: 'maps', image: 2, queryStates: floats(1, 2, 1, 1) })).toMatchObject({ type: 'maps' });
  });

  it('says what failed, and goes on with the next', async () => {
    const { put } = serviceOf();
    expect(await put({ type: 'image', image: 1, patchStates: floats(1, 2, 1, 2) })).toMatchObject({
      reason: 'states came before the head was loaded',
    });
    await put({ type: 'load', load });
    expect(await put({ type: 'image', image: 1, patchStates: floats(1, 2, Number.NaN, 2) })).toMatchObject({
      reason: 'normalised holds NaN',
    });
    expect(await put({ type: 'image', image: 2, patchStates: floats(1, 2, 1, 2) })).toMatchObject({ type: 'seen' });
  });
});
