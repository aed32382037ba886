// The embedded model's worker: loads the model, answers questions and explains answers.
import type { ModelManifest } from '../contract/manifest';
import { type OtherHeadMethod, otherHeadMethods } from '../contract/methods';
import type { ExplainEvent } from '../contract/run';
import { macrotask } from '../workers/macrotask';
import { createSerialQueue } from '../workers/serial-queue';
import type { Handlers } from '../workers/worker-service';
import { type AnswerEvent, createEmbeddedModel, type EmbeddedModel } from './embedded-model';
import type { Explainer } from './explainer';
import type { ChosenHead } from './head';
import { createLoadReport, type LoadProgress } from './load-progress';
import { fetchManifest, loadLaterFiles, loadModelFiles, type ModelFiles } from './model-files';
import type { LoadedModel, LoadRequest, ModelProtocol } from './model-protocol';
import { otherHeadMaps } from './other-head';
import { createPromptTokenizer, type TokenizerFiles } from './prompt-tokenizer';
import { loadRuntime, planRuntime } from './runtime';

/** Serve with `isConcurrent`: each explanation does its own queueing for the model, one map at a time. */
export function createModelHandlers(): Handlers<ModelProtocol> {
  /**
   * Answers run one at a time; a new question aborts the previous answer and gets its turn within one token. An
   * explanation takes one turn per token, so a new question waits for at most one map.
   */
  const turns = createSerialQueue();
  let model: EmbeddedModel | undefined;
  let ensureExplainer: (() => Promise<Explainer>) | undefined;
  let otherHeads = new Map<OtherHeadMethod, () => Promise<ChosenHead>>();

  return {
    load: (request, { emit }) =>
      turns.run(async () => {
        const { embedded, loaded } = await loadModel(request, emit);
        model = embedded;
        ensureExplainer = once(() => loadExplainer(request.modelUrl, loaded.manifest, embedded));
        otherHeads = new Map(
          otherHeadMethods.map((method) => [
            method,
            once(() => loadOtherHead(method, request.modelUrl, loaded.manifest, embedded)),
          ]),
        );
        return loaded;
      }),

    ask: (question, { signal, emit }) =>
      turns.run(async () => {
        if (model === undefined) throw new Error('a question arrived before the model was loaded');
        for await (const event of model.answer(question, signal)) emit(event, buffersOf(event));
        return { backend: model.backend, note: model.note };
      }),

    async explain(request, { signal, emit }) {
      // Wait for a load in progress.
      await turns.run(async () => {});
      if (ensureExplainer === undefined) throw new Error('an explanation was requested before the model was loaded');
      const explainer = await ensureExplainer();
      await explainer.load(request.method);
      const events = explainer.explain(request, signal);
      for (;;) {
        const next = await turns.run(() => events.next());
        if (next.done) return undefined;
        emit(next.value, buffersOf(next.value));
        // Messages, including an abort, are received only between tasks.
        await macrotask();
      }
    },

    async headMaps(request, { handOver }) {
      // Wait for a load in progress. The head's files are fetched outside a turn, so that questions need not wait.
      await turns.run(async () => {});
      const ensureHead = otherHeads.get(request.method);
      if (ensureHead === undefined) throw new Error('states arrived before the model was loaded');
      const { head } = await ensureHead();
      const maps = await turns.run(() => otherHeadMaps(head, request));
      handOver(maps.values.buffer);
      return maps;
    },
  };
}

/** The large arrays of an event are transferred to the page: the worker must not use them afterwards. */
function buffersOf(event: AnswerEvent | ExplainEvent): Transferable[] {
  if (event.type === 'patch-states') return [event.states.values.buffer];
  return event.type === 'map' ? [event.map.values.buffer] : [];
}

async function loadModel(
  { modelUrl, backend, maxThreads }: LoadRequest,
  onProgress: (progress: LoadProgress) => void,
): Promise<{ readonly embedded: EmbeddedModel; readonly loaded: LoadedModel }> {
  const [plan, manifest] = await Promise.all([planRuntime(backend, maxThreads), fetchManifest(modelUrl)]);
  const fileBytes = Object.values(manifest.files).reduce((sum, { bytes }) => sum + bytes, 0);
  const report = createLoadReport(fileBytes + plan.bundle.bytes, onProgress);
  report.show();
  const runtime = await loadRuntime(plan, report.onBytes, report.show);
  const files = await loadModelFiles(modelUrl, manifest, report.onBytes, (path) =>
    report.name(path.startsWith('head/') ? 'the FastRM head' : 'the model'),
  );
  report.start('the model, into memory', runtime.threads);
  const tokenizerFiles = readTokenizer(files, manifest.tokenizer);
  const tokenizer = createPromptTokenizer(tokenizerFiles, manifest.prompt);
  const embedded = await createEmbeddedModel(runtime, { manifest, files, tokenizer });
  const { threads } = runtime;
  const loaded = { manifest, tokenizer: tokenizerFiles, backend: embedded.backend, threads, note: embedded.note };
  return { embedded, loaded };
}

async function loadExplainer(modelUrl: string, { explain, name }: ModelManifest, model: EmbeddedModel) {
  if (explain === undefined) throw new Error(`${name} was built without graphs for explaining its answers`);
  return model.createExplainer(explain, await loadLaterFiles(modelUrl, explain));
}

async function loadOtherHead(
  method: OtherHeadMethod,
  modelUrl: string,
  { otherHeads, name }: ModelManifest,
  model: EmbeddedModel,
): Promise<ChosenHead> {
  const facts = otherHeads?.[method];
  if (facts === undefined) throw new Error(`${name} was built without a head ${method}`);
  return model.createOtherHead(method, await loadLaterFiles(modelUrl, facts));
}

/** Shares the first call's result; a failed call can be retried. */
function once<T>(task: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= task().catch((error: unknown) => {
      result = undefined;
      throw error;
    });
    return result;
  };
}

function readTokenizer(files: ModelFiles, [tokenizerPath, configPath]: readonly [string, string]): TokenizerFiles {
  const read = (path: string): object => JSON.parse(new TextDecoder().decode(files(path)));
  return { tokenizer: read(tokenizerPath), config: read(configPath) };
}
