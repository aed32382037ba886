// Loads onnxruntime-web: its build, its threads, and the one WebGPU device that sessions share.

import { reasonOf } from '../text/reason-of';
import { createSerialQueue, type SerialQueue } from '../workers/serial-queue';
import { fetchBytes, type OnBytes } from './fetch-bytes';
import { findGpuAdapter, requestGpuDevice } from './gpu-adapter';
import { chooseOrtBundle, type Ort, type OrtBundle } from './ort-bundle';
import { threadCount } from './thread-count';

export type Backend = 'webgpu' | 'wasm';
/** `auto`: WebGPU if a hardware adapter matches WASM's numbers, otherwise WASM. `webgpu` also accepts a software adapter. */
export type BackendChoice = 'auto' | Backend;

export interface Runtime {
  readonly ort: Ort;
  /** All sessions are created, run and released through this queue. */
  readonly queue: SerialQueue;
  readonly threads: number;
  /** Undefined if there is none, or after its first failure. */
  readonly device: GPUDevice | undefined;
  /** Why `device` is undefined although WebGPU was an option. */
  readonly deviceNote: string | undefined;
  abandonDevice(reason: string): void;
  /** Called after each session is created. */
  readonly onSession: () => void;
}

/** Decisions made before anything is downloaded. */
export interface RuntimePlan {
  readonly bundle: OrtBundle;
  readonly adapter: GPUAdapter | undefined;
  readonly note: string | undefined;
  readonly threads: number;
}

export async function planRuntime(choice: BackendChoice, maxThreads?: number): Promise<RuntimePlan> {
  const adapter = choice === 'wasm' ? undefined : await findGpuAdapter(choice === 'webgpu');
  const note = choice === 'webgpu' && adapter === undefined ? 'no WebGPU adapter' : undefined;
  const suspending = 'Suspending' in WebAssembly;
  const bundle = chooseOrtBundle({ webgpu: adapter !== undefined, suspending });
  return { bundle, adapter, note, threads: threadCount(globalThis, maxThreads) };
}

export async function loadRuntime(
  { bundle, adapter, note, threads }: RuntimePlan,
  onBytes: OnBytes,
  onSession = () => {},
): Promise<Runtime> {
  const [ort, binary] = await Promise.all([bundle.importOrt(), fetchBytes(bundle.binaryUrl, onBytes)]);
  ort.env.wasm.wasmPaths = { mjs: new URL(bundle.glueUrl, import.meta.url).href };
  ort.env.wasm.wasmBinary = binary;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';
  const parts = { threads, note, onSession };
  if (adapter === undefined) return createRuntime(ort, parts);
  try {
    return createRuntime(ort, { ...parts, device: await requestGpuDevice(adapter) });
  } catch (error) {
    return createRuntime(ort, { ...parts, note: `no WebGPU device: ${reasonOf(error)}` });
  }
}

interface RuntimeParts {
  readonly threads: number;
  readonly note?: string | undefined;
  readonly device?: GPUDevice;
  readonly onSession?: () => void;
}

/** Creates a runtime from a loaded library; tests pass the library for Node. */
export function createRuntime(ort: Ort, parts: RuntimeParts): Runtime {
  let { device, note } = parts;
  const abandonDevice = (reason: string) => {
    device = undefined;
    note = reason;
  };
  device?.lost.then(({ message }) => abandonDevice(`the WebGPU device was lost: ${message}`));
  return {
    ort,
    queue: createSerialQueue(),
    threads: parts.threads,
    get device() {
      return device;
    },
    get deviceNote() {
      return note;
    },
    abandonDevice,
    onSession: parts.onSession ?? (() => {}),
  };
}
