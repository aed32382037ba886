// The worker's side of the messages: load -> progress*, loaded; ask -> event*, answered; explain -> explained*; each may
// end in failed.
import type { ModelManifest } from '../contract/manifest';
import { macrotask } from '../workers/macrotask';
import { createSerialQueue } from '../workers/serial-queue';
import { createEmbeddedModel, type EmbeddedModel, type ImageQuestion } from './embedded-model';
import type { AnswerToExplain, Explainer } from './explainer';
import type { LoadedModel, LoadProgress, LoadRequest, WorkerReply, WorkerRequest } from './messages';
import { fetchManifest, loadExplainFiles, loadModelFiles, type ModelFiles } from './model-files';
import { createPromptTokenizer, type TokenizerFiles } from './prompt-tokenizer';
import { loadRuntime, planRuntime, reasonOf } from './runtime';

export interface ModelService {
  receive(request: WorkerRequest): void;
}

export function createModelService(reply: (message: WorkerReply) => void): ModelService {
  /**
   * One answer after the other; a new question's abort of the former lets its turn come within a token. An explanation
   * takes a turn a token, so that a question that comes meanwhile waits for one map and not for all of them.
   */
  const turns = createSerialQueue();
  const running = new Map<number, AbortController>();
  let model: EmbeddedModel | undefined;
  let ensureExplainer: (() => Promise<Explainer>) | undefined;

  async function load(id: number, request: LoadRequest): Promise<void> {
    const { embedded, loaded } = await loadModel(request, (progress) => reply({ type: 'progress', id, progress }));
    model = embedded;
    ensureExplainer = once(() => loadExplainer(request.modelUrl, loaded.manifest, embedded));
    reply({ type: 'loaded', id, loaded });
  }

  async function ask(id: number, asked: ImageQuestion, signal: AbortSignal): Promise<void> {
    if (model === undefined) throw new Error('a question came before the model was loaded');
    for await (const event of model.answer(asked, signal)) reply({ type: 'event', id, event });
    reply({ type: 'answered', id, backend: model.backend, note: model.note });
  }

  async function explain(id: number, asked: AnswerToExplain, signal: AbortSignal): Promise<void> {
    // After a load that is under way.
    await turns.run(async () => {});
    if (ensureExplainer === undefined) throw new Error('an explanation was asked for before the model was loaded');
    const explainer = await ensureExplainer();
    await explainer.load(asked.method);
    const events = explainer.explain(asked, signal);
    for (;;) {
      const next = await turns.run(() => events.next());
      if (next.done) return;
      reply({ type: 'explained', id, event: next.value });
      // Messages, an abort among them, are only received between tasks.
      await macrotask();
    }
  }

  const start = (id: number, task: (signal: AbortSignal) => Promise<void>) => {
    const controller = new AbortController();
    running.set(id, controller);
    task(controller.signal)
      .catch((error: unknown) => reply({ type: 'failed', id, reason: reasonOf(error) }))
      .finally(() => running.delete(id));
  };

  return {
    receive(request) {
      const { id } = request;
      switch (request.type) {
        case 'load':
          start(id, () => turns.run(() => load(id, request.load)));
          break;
        case 'ask':
          start(id, (signal) => turns.run(() => ask(id, request.asked, signal)));
          break;
        case 'explain':
          start(id, (signal) => explain(id, request.asked, signal));
          break;
        case 'cancel':
          running.get(id)?.abort();
          break;
      }
    },
  };
}

async function loadModel(
  { modelUrl, backend }: LoadRequest,
  onProgress: (progress: LoadProgress) => void,
): Promise<{ readonly embedded: EmbeddedModel; readonly loaded: LoadedModel }> {
  const [plan, manifest] = await Promise.all([planRuntime(backend), fetchManifest(modelUrl)]);
  const fileBytes = Object.values(manifest.files).reduce((sum, { bytes }) => sum + bytes, 0);
  const totalBytes = fileBytes + plan.bundle.bytes;
  let loadedBytes = 0;
  let what = 'the runtime';
  const report = () => onProgress({ loadedBytes: Math.min(loadedBytes, totalBytes), totalBytes, what });
  const onBytes = (bytes: number) => {
    loadedBytes += bytes;
    report();
  };
  report();
  const runtime = await loadRuntime(plan, onBytes);
  const files = await loadModelFiles(modelUrl, manifest, onBytes, (path) => {
    what = path.startsWith('head/') ? 'the FastRM head' : 'the model';
  });
  what = 'the model into memory';
  report();
  const tokenizerFiles = readTokenizer(files, manifest.tokenizer);
  const tokenizer = createPromptTokenizer(tokenizerFiles, manifest.prompt);
  const embedded = await createEmbeddedModel(runtime, { manifest, files, tokenizer });
  const { threads } = runtime;
  const loaded = { manifest, tokenizer: tokenizerFiles, backend: embedded.backend, threads, note: embedded.note };
  return { embedded, loaded };
}

async function loadExplainer(modelUrl: string, { explain, name }: ModelManifest, model: EmbeddedModel) {
  if (explain === undefined) throw new Error(`${name} has no graphs that explain its answers`);
  return model.createExplainer(explain, await loadExplainFiles(modelUrl, explain));
}

/** The first call's result for all, unless it fails. */
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
