// The head's worker behind its messages: load -> progress*, loaded; image -> seen; maps -> maps; each may end in failed.

import { widenHalfs } from '../contract/half-floats';
import type { StateRows } from '../contract/run-rows';
import { createSerialQueue } from '../workers/serial-queue';
import { type ChosenHead, chooseHead, type HeadFiles } from './head';
import type { HeadLoadRequest, HeadMaps, HeadReply, HeadReport, HeadRequest } from './head-messages';
import type { LoadProgress } from './messages';
import { loadModelFiles } from './model-files';
import { loadRuntime, planRuntime, type Runtime, reasonOf } from './runtime';
import type { FloatTensor } from './tensor';

export interface HeadService {
  receive(request: HeadRequest): void;
}

type LoadHead = (request: HeadLoadRequest, onProgress: (progress: LoadProgress) => void) => Promise<LoadedHead>;

export interface LoadedHead extends ChosenHead {
  readonly runtime: Pick<Runtime, 'deviceNote'>;
}

/** Tests hand in a `load` of their own, for Node's runtime. */
export function createHeadService(reply: (message: HeadReply) => void, load: LoadHead = loadHead): HeadService {
  const turns = createSerialQueue();
  let loaded: LoadedHead | undefined;
  let image: number | undefined;

  const ensureLoaded = () => {
    if (loaded === undefined) throw new Error('states came before the head was loaded');
    return loaded;
  };

  async function answer(request: HeadRequest): Promise<HeadReply> {
    const { id } = request;
    switch (request.type) {
      case 'load': {
        const former = loaded;
        loaded = undefined;
        image = undefined;
        await former?.head.destroy();
        loaded = await load(request.load, (progress) => reply({ type: 'progress', id, progress }));
        return { type: 'loaded', id, report: reportOf(loaded) };
      }
      case 'image': {
        const { head } = ensureLoaded();
        image = undefined;
        await head.setImage(tensorOf(request.patchStates));
        image = request.image;
        return { type: 'seen', id };
      }
      case 'maps': {
        if (image !== request.image) throw new Error(`image ${request.image} is not the head's any more`);
        return { type: 'maps', id, maps: await mapsOf(ensureLoaded(), request.queryStates) };
      }
    }
  }

  return {
    receive(request) {
      turns
        .run(() => answer(request))
        .catch((error: unknown): HeadReply => ({ type: 'failed', id: request.id, reason: reasonOf(error) }))
        .then(reply);
    },
  };
}

async function mapsOf(loaded: LoadedHead, queryStates: StateRows): Promise<HeadMaps> {
  const queries = tensorOf(queryStates);
  const from = performance.now();
  const { data } = await loaded.head.maps(queries);
  const computeMs = performance.now() - from;
  return { values: data, tokens: queryStates.rows, computeMs, ...reportOf(loaded) };
}

function reportOf({ head, note, runtime }: LoadedHead): HeadReport {
  const { backend } = head;
  return { backend, note: backend === 'wasm' ? (note ?? runtime.deviceNote) : undefined };
}

function tensorOf({ values, rows, cols }: StateRows): FloatTensor {
  return { data: values instanceof Uint16Array ? widenHalfs(values) : values, dims: [rows, cols] };
}

async function loadHead(request: HeadLoadRequest, onProgress: (progress: LoadProgress) => void): Promise<LoadedHead> {
  const { baseUrl, graph, normGraph, weights, hiddenSize, backend } = request;
  const plan = await planRuntime(backend);
  const entries = [graph, normGraph, weights];
  const totalBytes = plan.bundle.bytes + entries.reduce((sum, { bytes }) => sum + bytes, 0);
  let loadedBytes = 0;
  let what = 'the runtime';
  const onBytes = (bytes: number) => {
    loadedBytes += bytes;
    onProgress({ loadedBytes: Math.min(loadedBytes, totalBytes), totalBytes, what });
  };
  const runtime = await loadRuntime(plan, onBytes);
  const files = await loadModelFiles(
    baseUrl,
    { files: Object.fromEntries(entries.map(({ path, sha256, bytes }) => [path, { sha256, bytes }])) },
    onBytes,
    () => {
      what = 'the FastRM head';
    },
  );
  // The graph names it by its file's name alone.
  const weightsName = new URL(weights.path, baseUrl).pathname.split('/').at(-1) ?? '';
  const external = [{ path: weightsName, data: files(weights.path) }];
  const headFiles: HeadFiles = {
    norm: { name: normGraph.path, graph: files(normGraph.path) },
    head: { name: graph.path, graph: files(graph.path), external },
  };
  return { ...(await chooseHead(runtime, headFiles, hiddenSize)), runtime };
}
