// The page's end of the worker: one call a method, replies paired by id. A worker that dies rejects what is pending,
// and the next `load` starts another.
import type { AnswerEvent, ImageQuestion } from './embedded-model';
import { endAtAbort } from './end-at-abort';
import type { LoadedModel, LoadProgress, LoadRequest, WorkerReply, WorkerRequest } from './messages';
import type { PromptTokenizer } from './prompt-tokenizer';
import type { Backend } from './runtime';

export type { AnswerEvent } from './embedded-model';
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
  destroy(): void;
}

/** `onDeath`: the worker is gone, and what it had loaded with it. */
export function createModelClient(onDeath: (reason: string) => void): ModelClient {
  let connection: Connection | undefined;
  const connect = () => {
    connection ??= createConnection((reason) => {
      connection = undefined;
      onDeath(reason);
    });
    return connection;
  };
  const disconnect = () => {
    connection?.destroy();
    connection = undefined;
  };
  const askWorker: ModelClient['ask'] = async function* (asked, signal, onBackend) {
    const { id, replies, send, close } = connect().open();
    const cancel = () => send({ type: 'cancel', id });
    try {
      send({ type: 'ask', id, asked });
      signal.addEventListener('abort', cancel, { once: true });
      if (signal.aborted) cancel();
      for await (const reply of replies) {
        if (reply.type === 'event') yield reply.event;
        if (reply.type === 'failed') throw new Error(reply.reason);
        if (reply.type !== 'answered') continue;
        onBackend(reply);
        return;
      }
    } finally {
      // Also where the reader left early: nobody listens any more.
      signal.removeEventListener('abort', cancel);
      cancel();
      close();
    }
  };
  return {
    async load(load, onProgress) {
      const { id, replies, send, close } = connect().open();
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
        disconnect();
        throw error;
      } finally {
        close();
      }
    },
    ask: (asked, signal, onBackend) => endAtAbort(askWorker(asked, signal, onBackend), signal),
    destroy: disconnect,
  };
}

interface Channel {
  readonly id: number;
  readonly replies: AsyncIterable<WorkerReply>;
  send(request: WorkerRequest): void;
  close(): void;
}

interface Connection {
  open(): Channel;
  destroy(): void;
}

function createConnection(onDeath: (reason: string) => void): Connection {
  const worker = new Worker(new URL('./embedded.worker.ts', import.meta.url), { type: 'module' });
  const inboxes = new Map<number, Inbox>();
  let lastId = 0;
  const end = (reason: string) => {
    worker.terminate();
    for (const [id, inbox] of inboxes) inbox.put({ type: 'failed', id, reason });
  };
  const die = (reason: string) => {
    end(reason);
    onDeath(reason);
  };
  worker.onmessage = ({ data }: MessageEvent<WorkerReply>) => inboxes.get(data.id)?.put(data);
  worker.onerror = ({ message }) => die(`the model's worker failed: ${message || 'it could not be started'}`);
  worker.onmessageerror = () => die("the model's worker sent what could not be read");
  return {
    open() {
      lastId += 1;
      const id = lastId;
      const inbox = createInbox();
      inboxes.set(id, inbox);
      return {
        id,
        replies: inbox.messages(),
        send: (request) => worker.postMessage(request),
        close: () => inboxes.delete(id),
      };
    },
    destroy: () => end('the model was closed'),
  };
}

interface Inbox {
  put(message: WorkerReply): void;
  messages(): AsyncIterable<WorkerReply>;
}

function createInbox(): Inbox {
  const waiting: WorkerReply[] = [];
  let wake = () => {};
  return {
    put(message) {
      waiting.push(message);
      wake();
    },
    async *messages() {
      for (;;) {
        const next = waiting.shift();
        if (next) yield next;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    },
  };
}
