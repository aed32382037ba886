// An ONNX graph that survives the loss of its device: a run that fails on WebGPU is repeated on WASM, and the graph
// stays there.
import { reasonOf } from '../text/reason-of';
import type { Backend, Runtime } from './runtime';
import { type Feeds, invalidValues, type Outputs, toOrtFeeds } from './tensor';

export interface GraphFiles {
  readonly name: string;
  readonly graph: Uint8Array;
  /** Weights that the graph refers to by path. */
  readonly external?: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/** An output that is missing, not finite or all zero, also on WASM. */
export class InvalidOutput extends Error {}

export interface Graph {
  readonly backend: Backend;
  readonly inputs: readonly string[];
  /** Rejects only if WASM fails too. The outputs in `checked` must be neither NaN nor all zero. */
  run(feeds: Feeds, checked: readonly string[]): Promise<Outputs>;
  destroy(): Promise<void>;
}

/** Falls back to WASM if the WebGPU session cannot be created. */
export async function createGraph(runtime: Runtime, files: GraphFiles, preferred: Backend): Promise<Graph> {
  let session = await ensureSession(preferred);

  async function ensureSession(backend: Backend): Promise<Session> {
    if (backend === 'wasm' || runtime.device === undefined) return createSession(runtime, files, 'wasm');
    try {
      return await createSession(runtime, files, 'webgpu');
    } catch (error) {
      leaveDevice(runtime, error);
      return createSession(runtime, files, 'wasm');
    }
  }

  let moving: Promise<void> | undefined;
  async function moveToWasm(failed: Session): Promise<void> {
    await release(runtime, failed);
    session = await createSession(runtime, files, 'wasm');
  }

  async function run(feeds: Feeds, checked: readonly string[]): Promise<Outputs> {
    const used = session;
    try {
      return await runOnce(runtime, files.name, used, feeds, checked);
    } catch (error) {
      if (used.backend === 'wasm') throw error;
      leaveDevice(runtime, error);
      if (session === used) moving ??= moveToWasm(used);
      await moving;
      return run(feeds, checked);
    }
  }

  return {
    get backend() {
      return session.backend;
    },
    get inputs() {
      return session.session.inputNames;
    },
    run,
    destroy: () => release(runtime, session),
  };
}

/**
 * Logs the library's message to the console only, because the message is pages long and full of paths from the build
 * machine.
 */
function leaveDevice(runtime: Runtime, error: unknown) {
  console.warn(`WebGPU failed, falling back to WASM: ${reasonOf(error)}`);
  runtime.abandonDevice('WebGPU failed; WASM took over');
}

type OrtSession = Awaited<ReturnType<Runtime['ort']['InferenceSession']['create']>>;

interface Session {
  readonly backend: Backend;
  readonly session: OrtSession;
  readonly lost: Promise<never> | undefined;
}

function createSession(runtime: Runtime, files: GraphFiles, backend: Backend): Promise<Session> {
  const { ort, queue, device, onSession } = runtime;
  return queue.run(async () => {
    const gpu = backend === 'webgpu' ? device : undefined;
    const options = {
      executionProviders: gpu ? [{ name: 'webgpu' as const, device: gpu }] : ['wasm' as const],
      // Pass views, not blobs: external data in a blob is slower and has been seen to hang.
      ...(files.external && { externalData: [...files.external] }),
      // This optimizer looks for a scalar's external data in the file system, which does not exist here.
      extra: { optimization: { disable_specified_optimizers: 'MatMulScaleFusion' } },
    };
    const session = await ort.InferenceSession.create(files.graph, options);
    onSession();
    return { backend: gpu ? 'webgpu' : 'wasm', session, lost: gpu && rejectWhenLost(gpu) };
  });
}

/** A run on a lost device usually rejects; this covers one that never settles. */
function rejectWhenLost(device: GPUDevice): Promise<never> {
  const graceMs = 1000;
  const lost = device.lost.then(async ({ message }) => {
    await new Promise((resolve) => setTimeout(resolve, graceMs));
    throw new Error(`the WebGPU device was lost: ${message}`);
  });
  lost.catch(() => undefined);
  return lost;
}

async function runOnce(
  runtime: Runtime,
  name: string,
  { session, lost }: Session,
  feeds: Feeds,
  checked: readonly string[],
): Promise<Outputs> {
  const running = () => session.run(toOrtFeeds(runtime.ort, feeds));
  const results = await runtime.queue.run(() => (lost ? Promise.race([running(), lost]) : running()));
  const outputs: Record<string, { data: Float32Array; dims: readonly number[] }> = {};
  for (const [key, { data, dims }] of Object.entries(results)) {
    if (!(data instanceof Float32Array)) throw new Error(`${name}: output ${key} is not float32`);
    outputs[key] = { data, dims };
  }
  for (const key of checked) {
    const problem = outputs[key] ? invalidValues(outputs[key].data) : 'is missing';
    if (problem !== undefined) throw new InvalidOutput(`${name}: output ${key} ${problem}`);
  }
  return outputs;
}

/** Ignores errors: a session on a lost device may fail to release, and nothing can be done about it. */
function release(runtime: Runtime, { session }: Session): Promise<void> {
  return runtime.queue.run(() => session.release()).catch(() => undefined);
}
