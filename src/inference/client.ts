// The page's end of the embedded model's worker: one call a method.
import type { ExplainEvent } from '../contract/run';
import { createWorkerLink } from '../workers/worker-link';
import type { AnswerEvent, ImageQuestion } from './embedded-model';
import { endAtAbort } from './end-at-abort';
import type { AnswerToExplain } from './explainer';
import type { LoadedModel, LoadProgress, LoadRequest, WorkerReply, WorkerRequest } from './messages';
import type { PromptTokenizer } from './prompt-tokenizer';
import type { Backend } from './runtime';

export type { AnswerEvent } from './embedded-model';
export { type ExplainerMethod, explainerMethods } from './explainer-method';
export type { LoadProgress } from './messages';
export type { PromptTokenizer, QuestionReading } from './prompt-tokenizer';
export type { Backend, BackendChoice } from './runtime';

export interface ReadyModel extends LoadedModel {
  readonly promptTokenizer: PromptTokenizer;
}

/** Where the maps of the answer just given were made. */
export interface BackendReport {
  readonly backend: Backend;
  readonly note: string | undefined;
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
  const link = createWorkerLink<WorkerRequest, WorkerReply>(startWorker, onDeath);
  /** What the worker says to a request, until its reader has enough or it fails. */
  async function* repliesTo(
    requestOf: (id: number) => WorkerRequest,
    signal: AbortSignal,
  ): AsyncGenerator<Exclude<WorkerReply, { type: 'failed' }>> {
    const { id, replies, send, close } = link.open();
    const cancel = () => send({ type: 'cancel', id });
    try {
      send(requestOf(id));
      signal.addEventListener('abort', cancel, { once: true });
      if (signal.aborted) cancel();
      for await (const reply of replies) {
        if (reply.type === 'failed') throw new Error(reply.reason);
        yield reply;
      }
    } finally {
      // Also where the reader left early: nobody listens any more.
      signal.removeEventListener('abort', cancel);
      cancel();
      close();
    }
  }
  const askWorker: ModelClient['ask'] = async function* (asked, signal, onBackend) {
    for await (const reply of repliesTo((id) => ({ type: 'ask', id, asked }), signal)) {
      if (reply.type === 'event') yield reply.event;
      if (reply.type !== 'answered') continue;
      onBackend(reply);
      return;
    }
  };
  return {
    async load(load, onProgress) {
      const { id, replies, send, close } = link.open();
      try {
        send({ type: 'load', id, load });
        for await (const reply of replies) {
          if (reply.type === 'progress') onProgress(reply.progress);
          if (reply.type === 'failed') throw new Error(reply.reason);
          if (reply.type !== 'loaded') continue;
          // Loaded late, so that the first paint does not wait for it.
          const { createPromptTokenizer } = await import('./prompt-tokenizer');
          const { tokenizer, manifest } = reply.loaded;
          return { ...reply.loaded, promptTokenizer: createPromptTokenizer(tokenizer, manifest.prompt) };
        }
        throw new Error('the worker stopped while it loaded');
      } catch (error) {
        // A runtime that failed to start never starts again in the same worker.
        link.disconnect();
        throw error;
      } finally {
        close();
      }
    },
    ask: (asked, signal, onBackend) => endAtAbort(askWorker(asked, signal, onBackend), signal),
    async *explain(asked, signal) {
      for await (const reply of repliesTo((id) => ({ type: 'explain', id, asked }), signal)) {
        if (reply.type !== 'explained') continue;
        yield reply.event;
        if (reply.event.type === 'end') return;
      }
    },
    destroy: link.disconnect,
  };
}
