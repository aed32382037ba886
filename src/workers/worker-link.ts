// The page's end of a worker: replies are paired with requests by id. A worker that dies rejects what is pending, and
// the next request starts another.
import type { AskMessage, EventOf, QuestionMap, TypeOf, WorkerReply, WorkerRequest } from './questions';

export interface WorkerLink<Q extends QuestionMap<Q>> {
  /** Rejects if the worker fails, or with an `AbortError` if a later request of the same key took its place. */
  ask<Type extends TypeOf<Q>>(
    type: Type,
    asked: Q[Type]['asks'],
    options?: AskOptions & { readonly onEvent?: (event: EventOf<Q, Type>) => void },
  ): Promise<Q[Type]['answers']>;
  /** Yields the events and returns the answer. A reader that leaves early cancels the request. */
  stream<Type extends TypeOf<Q>>(
    type: Type,
    asked: Q[Type]['asks'],
    options?: AskOptions,
  ): AsyncGenerator<EventOf<Q, Type>, Q[Type]['answers'], undefined>;
  /** Disconnects if `task` fails: a runtime that failed to start never starts again in the same worker. */
  disconnectOnFailure<T>(task: () => Promise<T>): Promise<T>;
  /** Ends the worker and rejects what is pending; the next request starts another. */
  disconnect(): void;
}

interface AskOptions {
  /** Asks the worker to stop; its reply is still awaited. */
  readonly signal?: AbortSignal;
  /** A request replaces the earlier ones of the same key. */
  readonly key?: string;
  /** Moved to the worker: the page must not touch them again. */
  readonly transfer?: readonly Transferable[];
}

export interface WorkerLinkOptions {
  /** The worker is gone, and what it had loaded with it. */
  readonly onDeath: (reason: string) => void;
  /** Whose worker it is, as error messages name it. */
  readonly whose?: string;
}

/** The worker starts with the first request. */
export function createWorkerLink<Q extends QuestionMap<Q>>(
  start: () => Worker,
  { onDeath, whose = 'the model' }: WorkerLinkOptions,
): WorkerLink<Q> {
  let connection: Connection<Q> | undefined;

  function connect(): Connection<Q> {
    return createConnection<Q>(start(), whose, (reason) => {
      connection = undefined;
      onDeath(reason);
    });
  }

  function disconnect(): void {
    connection?.end(`${whose} was closed`);
    connection = undefined;
  }

  async function* stream<Type extends TypeOf<Q>>(
    type: Type,
    asked: Q[Type]['asks'],
    { signal, key, transfer = [] }: AskOptions = {},
  ): AsyncGenerator<EventOf<Q, Type>, Q[Type]['answers'], undefined> {
    connection ??= connect();
    const { id, send, nextReply, close } = connection.open();
    const cancel = () => send({ kind: 'cancel', id });
    let isPending = true;
    try {
      send({ kind: 'ask', id, type, asked, key } as AskMessage<Q>, transfer);
      signal?.addEventListener('abort', cancel, { once: true });
      if (signal?.aborted) cancel();
      for (;;) {
        const reply = await nextReply();
        if (reply.kind === 'event') {
          yield reply.event as EventOf<Q, Type>;
          continue;
        }
        isPending = false;
        if (reply.kind === 'failed') throw new Error(reply.reason);
        if (reply.kind === 'superseded') throw new DOMException('a later request replaced it', 'AbortError');
        return reply.answer;
      }
    } finally {
      signal?.removeEventListener('abort', cancel);
      if (isPending) cancel();
      close();
    }
  }

  return {
    stream,
    async ask(type, asked, { onEvent, ...options } = {}) {
      const replies = stream(type, asked, options);
      for (;;) {
        const { done, value } = await replies.next();
        if (done) return value;
        onEvent?.(value);
      }
    },
    async disconnectOnFailure(task) {
      try {
        return await task();
      } catch (error) {
        disconnect();
        throw error;
      }
    },
    disconnect,
  };
}

/** One request with all its replies. */
interface Channel<Q extends QuestionMap<Q>> {
  readonly id: number;
  send(request: WorkerRequest<Q>, transfer?: readonly Transferable[]): void;
  nextReply(): Promise<WorkerReply<Q>>;
  close(): void;
}

interface Connection<Q extends QuestionMap<Q>> {
  open(): Channel<Q>;
  end(reason: string): void;
}

function createConnection<Q extends QuestionMap<Q>>(
  worker: Worker,
  whose: string,
  onDeath: (reason: string) => void,
): Connection<Q> {
  const inboxes = new Map<number, Inbox<WorkerReply<Q>>>();
  let lastId = 0;
  const end = (reason: string) => {
    worker.terminate();
    for (const [id, inbox] of inboxes) inbox.put({ kind: 'failed', id, reason });
  };
  const die = (reason: string) => {
    end(reason);
    onDeath(reason);
  };
  worker.onmessage = ({ data }: MessageEvent<WorkerReply<Q>>) => inboxes.get(data.id)?.put(data);
  worker.onerror = ({ message }) => die(`${whose}'s worker failed: ${message || 'it could not be started'}`);
  worker.onmessageerror = () => die(`${whose}'s worker sent what could not be read`);
  return {
    open() {
      lastId += 1;
      const id = lastId;
      const inbox = createInbox<WorkerReply<Q>>();
      inboxes.set(id, inbox);
      return {
        id,
        send: (request, transfer = []) => worker.postMessage(request, { transfer: [...transfer] }),
        nextReply: inbox.take,
        close: () => inboxes.delete(id),
      };
    },
    end,
  };
}

interface Inbox<Message> {
  put(message: Message): void;
  /** The next message in order; one reader at a time. */
  take(): Promise<Message>;
}

function createInbox<Message>(): Inbox<Message> {
  const waiting: Message[] = [];
  let wake = () => {};
  return {
    put(message) {
      waiting.push(message);
      wake();
    },
    async take() {
      for (;;) {
        const next = waiting.shift();
        if (next !== undefined) return next;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
