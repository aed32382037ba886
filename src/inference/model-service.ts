// The worker's side of the messages: load -> progress*, loaded; ask -> event*, answered; either may end in failed.
import { createEmbeddedModel, type EmbeddedModel, type ImageQuestion } from './embedded-model';
import type { LoadedModel, LoadProgress, LoadRequest, WorkerReply, WorkerRequest } from './messages';
import { fetchManifest, loadModelFiles, type ModelFiles } from './model-files';
import { createPromptTokenizer, type TokenizerFiles } from './prompt-tokenizer';
import { loadRuntime, planRuntime, reasonOf } from './runtime';
import { createSerialQueue } from './serial-queue';

export interface ModelService {
  receive(request: WorkerRequest): void;
}

export function createModelService(reply: (message: WorkerReply) => void): ModelService {
  /** One answer after the other; a new question's abort of the former lets its turn come within a token. */
  const turns = createSerialQueue();
  const asking = new Map<number, AbortController>();
  let model: EmbeddedModel | undefined;

  async function load(id: number, request: LoadRequest): Promise<void> {
    const { embedded, loaded } = await loadModel(request, (progress) => reply({ type: 'progress', id, progress }));
    model = embedded;
    reply({ type: 'loaded', id, loaded });
  }

  async function ask(id: number, asked: ImageQuestion, signal: AbortSignal): Promise<void> {
    if (model === undefined) throw new Error('a question came before the model was loaded');
    for await (const event of model.answer(asked, signal)) reply({ type: 'event', id, event });
    reply({ type: 'answered', id, backend: model.backend, note: model.note });
  }

  const start = (id: number, task: () => Promise<void>) =>
    turns
      .run(task)
      .catch((error: unknown) => reply({ type: 'failed', id, reason: reasonOf(error) }))
      .finally(() => asking.delete(id));

  return {
    receive(request) {
      const { id } = request;
      switch (request.type) {
        case 'load':
          void start(id, () => load(id, request.load));
          break;
        case 'ask': {
          const controller = new AbortController();
          asking.set(id, controller);
          void start(id, () => ask(id, request.asked, controller.signal));
          break;
        }
        case 'cancel':
          asking.get(id)?.abort();
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

function readTokenizer(files: ModelFiles, [tokenizerPath, configPath]: readonly [string, string]): TokenizerFiles {
  const read = (path: string): object => JSON.parse(new TextDecoder().decode(files(path)));
  return { tokenizer: read(tokenizerPath), config: read(configPath) };
}
