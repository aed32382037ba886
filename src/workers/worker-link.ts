// The page's side of a worker: replies are matched to requests by id. If the worker dies, pending requests reject and
// the next request starts a new worker.
import type { EventOf, Protocol, RequestMessage, TypeOf, WorkerMessage, WorkerReply } from './protocol';

export interface WorkerLink<P extends Protocol<P>> {
  /** Rejects if the worker fails, or with an `AbortError` if a later request with the same key supersedes it. */
  request<Type extends TypeOf<P>>(
    type: Type,
    request: P[Type]['request'],
    options?: RequestOptions & { readonly onEvent?: (event: EventOf<P, Type>) => void },
  ): Promise<P[Type]['response']>;
  /** Yields the events and returns the response. A reader that stops early cancels the request. */
  stream<Type extends TypeOf<P>>(
    type: Type,
    request: P[Type]['request'],
    options?: RequestOptions,
  ): AsyncGenerator<EventOf<P, Type>, P[Type]['response'], undefined>;
  /** Disconnects if `task` fails: a runtime that failed to start never starts again in the same worker. */
  disconnectOnFailure<T>(task: () => Promise<T>): Promise<T>;
  /** Terminates the worker and rejects pending requests; the next request starts a new worker. */
  disconnect(): void;
  /** Ends a worker that does not respond as if it had died, with `reason` for pending requests. */
  abandon(reason: string): void;
}

interface RequestOptions {
  /** Aborting asks the worker to stop; its reply is still awaited. */
  readonly signal?: AbortSignal;
  /** A request supersedes earlier ones with the same key. */
  readonly key?: string;
  /** Transferred to the worker: the page must not use them afterwards. */
  readonly transfer?: readonly Transferable[];
}

export interface WorkerLinkOptions {
  /** Called when the worker dies, which loses everything it had loaded. */
  readonly onDeath: (reason: string) => void;
  /** Names what the worker belongs to, for error messages. */
  readonly owner?: string;
}

/** The worker starts with the first request. */
export function createWorkerLink<P extends Protocol<P>>(
  start: () => Worker,
  { onDeath, owner = 'the model' }: WorkerLinkOptions,
): WorkerLink<P> {
  let connection: Connection<P> | undefined;

  function connect(): Connection<P> {
    return createConnection<P>(start(), owner, (reason) => {
      connection = undefined;
      onDeath(reason);
    });
  }

  function disconnect(): void {
    connection?.end(`${owner} was closed`);
    connection = undefined;
  }

  async function* stream<Type extends TypeOf<P>>(
    type: Type,
    request: P[Type]['request'],
    { signal, key, transfer = [] }: RequestOptions = {},
  ): AsyncGenerator<EventOf<P, Type>, P[Type]['response'], undefined> {
    connection ??= connect();
    const { id, send, nextReply, close } = connection.open();
    const cancel = () => send({ kind: 'cancel', id });
    let isPending = true;
    try {
      send({ kind: 'request', id, type, request, key } as RequestMessage<P>, transfer);
      signal?.addEventListener('abort', cancel, { once: true });
      if (signal?.aborted) cancel();
      for (;;) {
        const reply = await nextReply();
        if (reply.kind === 'event') {
          yield reply.event as EventOf<P, Type>;
          continue;
        }
        isPending = false;
        if (reply.kind === 'failed') throw new Error(reply.reason);
        if (reply.kind === 'superseded') throw new DOMException('superseded by a later request', 'AbortError');
        return reply.response;
      }
    } finally {
      signal?.removeEventListener('abort', cancel);
      if (isPending) cancel();
      close();
    }
  }

  return {
    stream,
    async request(type, request, { onEvent, ...options } = {}) {
      const replies = stream(type, request, options);
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
    abandon: (reason) => connection?.die(reason),
  };
}

/** A request and its replies. */
interface Channel<P extends Protocol<P>> {
  readonly id: number;
  send(message: WorkerMessage<P>, transfer?: readonly Transferable[]): void;
  nextReply(): Promise<WorkerReply<P>>;
  close(): void;
}

interface Connection<P extends Protocol<P>> {
  open(): Channel<P>;
  end(reason: string): void;
  die(reason: string): void;
}

function createConnection<P extends Protocol<P>>(
  worker: Worker,
  owner: string,
  onDeath: (reason: string) => void,
): Connection<P> {
  const inboxes = new Map<number, Inbox<WorkerReply<P>>>();
  let lastId = 0;
  const end = (reason: string) => {
    worker.terminate();
    for (const [id, inbox] of inboxes) inbox.put({ kind: 'failed', id, reason });
  };
  const die = (reason: string) => {
    end(reason);
    onDeath(reason);
  };
  worker.onmessage = ({ data }: MessageEvent<WorkerReply<P>>) => inboxes.get(data.id)?.put(data);
  worker.onerror = ({ message }) => die(`${owner}'s worker failed: ${message || 'it could not be started'}`);
  worker.onmessageerror = () => die(`${owner}'s worker sent an unreadable message`);
  return {
    open() {
      lastId += 1;
      const id = lastId;
      const inbox = createInbox<WorkerReply<P>>();
      inboxes.set(id, inbox);
      return {
        id,
        send: (message, transfer = []) => worker.postMessage(message, { transfer: [...transfer] }),
        nextReply: inbox.take,
        close: () => inboxes.delete(id),
      };
    },
    end,
    die,
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
