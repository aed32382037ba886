// The FastRM head in its folded form: one d x d matrix; the image's states need only a LayerNorm.
import { createRandom } from '../math/random';
import { createGraph, type GraphFiles, InvalidOutput } from './graph';
import type { Backend, Runtime } from './runtime';
import type { FloatTensor } from './tensor';

export interface HeadFiles {
  /** patch_states [P, d] -> normalised [P, d] */
  readonly norm: GraphFiles;
  /** query_states [T, d], patch_states [P, d] normalised -> probabilities [T, P] */
  readonly head: GraphFiles;
}

export interface Head {
  readonly backend: Backend;
  /** [P, d] last hidden states at the image's patches, row-major over the grid; call once per image. */
  setImage(patchStates: FloatTensor): Promise<void>;
  /** Computes probabilities [T, P] from the [T, d] states that predicted the tokens. */
  maps(queryStates: FloatTensor): Promise<FloatTensor>;
  destroy(): Promise<void>;
}

const untrained =
  'The head’s probabilities are 0 everywhere or not finite, so there is no map. Its training has probably failed: ' +
  'train it again with another learning rate, or serve another head';

export async function createHead(runtime: Runtime, files: HeadFiles, preferred: Backend): Promise<Head> {
  // The norm stays on WASM: it runs once per image, and WASM needs its result if the device fails.
  const norm = await createGraph(runtime, files.norm, 'wasm');
  const head = await createGraph(runtime, files.head, preferred);
  let patches: FloatTensor | undefined;
  return {
    get backend() {
      return head.backend;
    },
    async setImage(patchStates) {
      const { normalised } = await norm.run({ patch_states: patchStates }, ['normalised']);
      patches = normalised;
    },
    async maps(queryStates) {
      if (patches === undefined) throw new Error('the head has no image yet');
      const feeds = { query_states: queryStates, patch_states: patches };
      const { probabilities } = await head.run(feeds, ['probabilities']).catch((error) => {
        throw error instanceof InvalidOutput ? new Error(`${untrained} (${error.message})`) : error;
      });
      return probabilities!;
    },
    async destroy() {
      await norm.destroy();
      await head.destroy();
    },
  };
}

/** Largest difference from WASM's probabilities at which a WebGPU head is trusted. */
const maxBackendDifference = 1e-3;

export interface ChosenHead {
  readonly head: Head;
  /** Why WebGPU is not used although there is a device. */
  readonly note: string | undefined;
}

/** Chooses WebGPU if there is a device that matches WASM on seeded random states, otherwise WASM. */
export async function chooseHead(runtime: Runtime, files: HeadFiles, hiddenSize: number): Promise<ChosenHead> {
  const wasm = await createHead(runtime, files, 'wasm');
  if (runtime.device === undefined) return { head: wasm, note: runtime.deviceNote };
  const webgpu = await createHead(runtime, files, 'webgpu');
  const [expected, actual] = [await probe(wasm, hiddenSize), await probe(webgpu, hiddenSize)];
  const difference = largestDifference(expected.data, actual.data);
  if (webgpu.backend === 'webgpu' && difference <= maxBackendDifference) {
    await wasm.destroy();
    return { head: webgpu, note: undefined };
  }
  const note = runtime.deviceNote ?? `WebGPU differs from WASM by ${difference.toExponential(1)}`;
  await webgpu.destroy();
  return { head: wasm, note };
}

async function probe(head: Head, hiddenSize: number): Promise<FloatTensor> {
  await head.setImage(noise(16, hiddenSize));
  return head.maps(noise(3, hiddenSize));
}

/** [rows, cols] in -1..1, the same on every call. */
function noise(rows: number, cols: number): FloatTensor {
  const { unit } = createRandom(1);
  return { data: Float32Array.from({ length: rows * cols }, () => 2 * unit() - 1), dims: [rows, cols] };
}

export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), 0);
}
