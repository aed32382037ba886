// Loads onnxruntime-web: its build, its threads, and the one WebGPU device that sessions share.

import { reasonOf } from '../text/reason-of';
import { createSerialQueue, type SerialQueue } from '../workers/serial-queue';
import { fetchBytes, type OnBytes } from './fetch-bytes';
import { findGpuAdapter, requestGpuDevice } from './gpu-adapter';
import { chooseOrtBundle, type Ort, type OrtBundle } from './ort-bundle';

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
}

/** Decisions made before anything is downloaded. */
export interface RuntimePlan {
  readonly bundle: OrtBundle;
  readonly adapter: GPUAdapter | undefined;
  readonly note: string | undefined;
}

export async function planRuntime(choice: BackendChoice): Promise<RuntimePlan> {
  const adapter = choice === 'wasm' ? undefined : await findGpuAdapter(choice === 'webgpu');
  const note = choice === 'webgpu' && adapter === undefined ? 'no WebGPU adapter' : undefined;
  const suspending = 'Suspending' in WebAssembly;
  return { bundle: chooseOrtBundle({ webgpu: adapter !== undefined, suspending }), adapter, note };
}

export async function loadRuntime({ bundle, adapter, note }: RuntimePlan, onBytes: OnBytes): Promise<Runtime> {
  const [ort, binary] = await Promise.all([bundle.importOrt(), fetchBytes(bundle.binaryUrl, onBytes)]);
  const threads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 4) : 1;
  ort.env.wasm.wasmPaths = { mjs: new URL(bundle.glueUrl, import.meta.url).href };
  ort.env.wasm.wasmBinary = binary;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';
  if (adapter === undefined) return createRuntime(ort, { threads, note });
  try {
    return createRuntime(ort, { threads, note, device: await requestGpuDevice(adapter) });
  } catch (error) {
    return createRuntime(ort, { threads, note: `no WebGPU device: ${reasonOf(error)}` });
  }
}

interface RuntimeParts {
  readonly threads: number;
  readonly note?: string | undefined;
  readonly device?: GPUDevice;
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
  };
}
