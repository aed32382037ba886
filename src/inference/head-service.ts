// The head's worker: hidden states in, maps out.

import type { StateRows } from '../contract/answer-states';
import type { Handlers } from '../workers/worker-service';
import { type ChosenHead, chooseHead, type HeadFiles, headNote } from './head';
import type { HeadLoadRequest, HeadMaps, HeadProtocol, HeadReport } from './head-protocol';
import { createLoadReport, type LoadProgress } from './load-progress';
import { loadModelFiles, type ModelFile } from './model-files';
import { loadRuntime, planRuntime, type Runtime } from './runtime';
import { tensorOf } from './tensor';

type LoadHead = (request: HeadLoadRequest, onProgress: (progress: LoadProgress) => void) => Promise<LoadedHead>;

export interface LoadedHead extends ChosenHead {
  readonly runtime: Pick<Runtime, 'deviceNote'>;
}

/** Tests pass a `load` that uses Node's runtime. */
export function createHeadHandlers(load: LoadHead = loadHead): Handlers<HeadProtocol> {
  let loaded: LoadedHead | undefined;
  let image: number | undefined;

  const ensureLoaded = () => {
    if (loaded === undefined) throw new Error('states arrived before the head was loaded');
    return loaded;
  };
  const ensureImage = (requested: number) => {
    if (image !== requested) throw new Error(`image ${requested} is no longer the head's image`);
  };

  return {
    async load(request, { emit }) {
      const previous = loaded;
      loaded = undefined;
      image = undefined;
      await previous?.head.destroy();
      loaded = await load(request, emit);
      return reportOf(loaded);
    },
    async image(request) {
      const { head } = ensureLoaded();
      image = undefined;
      await head.setImage(tensorOf(request.patchStates));
      image = request.image;
      return undefined;
    },
    async prompt(request) {
      ensureImage(request.image);
      await ensureLoaded().head.setPrompt(tensorOf(request.promptStates));
      return undefined;
    },
    async maps(request, { handOver }) {
      ensureImage(request.image);
      const maps = await mapsOf(ensureLoaded(), request.queryStates);
      handOver(maps.values.buffer);
      if (maps.promptValues) handOver(maps.promptValues.buffer);
      return maps;
    },
  };
}

async function mapsOf(loaded: LoadedHead, queryStates: StateRows): Promise<HeadMaps> {
  const queries = tensorOf(queryStates);
  const from = performance.now();
  const { patches, prompt } = await loaded.head.maps(queries);
  const computeMs = performance.now() - from;
  const values = { values: patches.data, promptValues: prompt?.data };
  return { ...values, tokens: queryStates.rows, computeMs, ...reportOf(loaded) };
}

function reportOf({ head, note, textProblem, runtime }: LoadedHead): HeadReport {
  return { backend: head.backend, note: headNote({ head, note, textProblem }, runtime) };
}

async function loadHead(request: HeadLoadRequest, onProgress: (progress: LoadProgress) => void): Promise<LoadedHead> {
  const { baseUrl, graph, normGraph, weights, textWeights, hiddenSize, backend, maxThreads } = request;
  const plan = await planRuntime(backend, maxThreads);
  const entries = [graph, normGraph, weights, ...(textWeights ? [textWeights] : [])];
  const totalBytes = plan.bundle.bytes + entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const report = createLoadReport(totalBytes, onProgress);
  const runtime = await loadRuntime(plan, report.onBytes, report.show);
  const files = await loadModelFiles(
    baseUrl,
    { files: Object.fromEntries(entries.map(({ path, sha256, bytes }) => [path, { sha256, bytes }])) },
    report.onBytes,
    () => report.name('the FastRM head'),
  );
  report.start('the FastRM head, into memory', runtime.threads);
  // The graph refers to the weights by file name only.
  const weightsName = new URL(weights.path, baseUrl).pathname.split('/').at(-1) ?? '';
  const withWeights = ({ path }: ModelFile) => ({
    name: graph.path,
    graph: files(graph.path),
    external: [{ path: weightsName, data: files(path) }],
  });
  const headFiles: HeadFiles = {
    norm: { name: normGraph.path, graph: files(normGraph.path) },
    head: withWeights(weights),
    text: textWeights ? withWeights(textWeights) : undefined,
  };
  return { ...(await chooseHead(runtime, headFiles, hiddenSize)), runtime };
}
