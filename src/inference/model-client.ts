// The page's side of the embedded model's worker: one method per operation.
import type { ExplainEvent } from '../contract/run';
import { createWorkerLink } from '../workers/worker-link';
import type { AnswerEvent, ImageQuestion } from './embedded-model';
import { endAtAbort } from './end-at-abort';
import type { AnswerToExplain } from './explainer';
import type { LoadProgress } from './load-progress';
import type { BackendReport, LoadedModel, LoadRequest, ModelProtocol } from './model-protocol';
import type { OtherHeadMaps, OtherHeadRequest } from './other-head';
import type { PromptTokenizer } from './prompt-tokenizer';
import { watchLoad } from './watched-load';

export { type ExplainerMethod, explainerMethods } from './explainer-method';
export type { HashedImage } from './image-embedder';
export type { BackendReport } from './model-protocol';
export type { OtherHeadRequest } from './other-head';

export type { BackendChoice } from './runtime';

export interface ReadyModel extends LoadedModel {
  readonly promptTokenizer: PromptTokenizer;
  /** Whether starting several threads stalled, so that the model runs on one. */
  readonly isRestarted: boolean;
}

export interface ModelClient {
  load(request: LoadRequest, onProgress: (progress: LoadProgress) => void): Promise<ReadyModel>;
  /** Throws if the worker fails; an abort ends the stream after the last token that was read (`endAtAbort`). */
  ask(
    question: ImageQuestion,
    signal: AbortSignal,
    onBackend: (report: BackendReport) => void,
  ): AsyncGenerator<AnswerEvent>;
  /** Throws if the worker fails; an abort ends the stream after the current map. */
  explain(request: AnswerToExplain, signal: AbortSignal): AsyncGenerator<ExplainEvent>;
  /** Maps by a head besides FastRM's, at the model's next turn. */
  headMaps(request: OtherHeadRequest): Promise<OtherHeadMaps>;
  destroy(): void;
}

const startWorker = () => new Worker(new URL('./embedded.worker.ts', import.meta.url), { type: 'module' });

/** `onDeath` is called when the worker dies, which loses everything it had loaded. */
export function createModelClient(onDeath: (reason: string) => void): ModelClient {
  const link = createWorkerLink<ModelProtocol>(startWorker, { onDeath });
  const askWorker: ModelClient['ask'] = async function* (question, signal, onBackend) {
    onBackend(yield* link.stream('ask', question, { signal }));
  };
  return {
    load: (request, onProgress) =>
      link.disconnectOnFailure(async () => {
        const { loaded, isRestarted } = await watchLoad(
          (maxThreads, onEvent) => link.request('load', { ...request, ...(maxThreads && { maxThreads }) }, { onEvent }),
          link.disconnect,
          onProgress,
        );
        // Imported late, so the first paint does not wait for it.
        const { createPromptTokenizer } = await import('./prompt-tokenizer');
        const promptTokenizer = createPromptTokenizer(loaded.tokenizer, loaded.manifest.prompt);
        return { ...loaded, isRestarted, promptTokenizer };
      }),
    ask: (question, signal, onBackend) => endAtAbort(askWorker(question, signal, onBackend), signal),
    async *explain(request, signal) {
      for await (const event of link.stream('explain', request, { signal })) {
        yield event;
        // Do not wait for the response: it arrives only at the model's next turn.
        if (event.type === 'end') return;
      }
    },
    headMaps: (request) => link.request('headMaps', request),
    destroy: link.disconnect,
  };
}
