// The page's end of the embedded model's worker: one call a method.
import type { ExplainEvent } from '../contract/run';
import { createWorkerLink } from '../workers/worker-link';
import type { AnswerEvent, ImageQuestion } from './embedded-model';
import { endAtAbort } from './end-at-abort';
import type { AnswerToExplain } from './explainer';
import type { LoadProgress } from './load-progress';
import type { BackendReport, LoadedModel, LoadRequest, ModelQuestions } from './model-questions';
import type { PromptTokenizer } from './prompt-tokenizer';

export { type ExplainerMethod, explainerMethods } from './explainer-method';
export type { HashedImage } from './image-embedder';

export type { BackendChoice } from './runtime';

export interface ReadyModel extends LoadedModel {
  readonly promptTokenizer: PromptTokenizer;
}

export interface ModelClient {
  load(request: LoadRequest, onProgress: (progress: LoadProgress) => void): Promise<ReadyModel>;
  /** Throws where the worker fails; aborting ends it with the token just read (`endAtAbort`). */
  ask(
    asked: ImageQuestion,
    signal: AbortSignal,
    onBackend: (report: BackendReport) => void,
  ): AsyncGenerator<AnswerEvent>;
  /** Throws where the worker fails; aborting ends it with the map that is under way. */
  explain(asked: AnswerToExplain, signal: AbortSignal): AsyncGenerator<ExplainEvent>;
  destroy(): void;
}

const startWorker = () => new Worker(new URL('./embedded.worker.ts', import.meta.url), { type: 'module' });

/** `onDeath`: the worker is gone, and what it had loaded with it. */
export function createModelClient(onDeath: (reason: string) => void): ModelClient {
  const link = createWorkerLink<ModelQuestions>(startWorker, { onDeath });
  const askWorker: ModelClient['ask'] = async function* (asked, signal, onBackend) {
    onBackend(yield* link.stream('ask', asked, { signal }));
  };
  return {
    load: (request, onProgress) =>
      link.disconnectOnFailure(async () => {
        const loaded = await link.ask('load', request, { onEvent: onProgress });
        // Loaded late, so that the first paint does not wait for it.
        const { createPromptTokenizer } = await import('./prompt-tokenizer');
        return { ...loaded, promptTokenizer: createPromptTokenizer(loaded.tokenizer, loaded.manifest.prompt) };
      }),
    ask: (asked, signal, onBackend) => endAtAbort(askWorker(asked, signal, onBackend), signal),
    async *explain(asked, signal) {
      for await (const event of link.stream('explain', asked, { signal })) {
        yield event;
        // The worker answers in a later turn of the model, which is nothing to wait for.
        if (event.type === 'end') return;
      }
    },
    destroy: link.disconnect,
  };
}
