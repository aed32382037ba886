// The page's end of a worker: replies paired with requests by id. A worker that dies rejects what is pending, and the
// next request starts another.

/** What every worker may answer. */
export interface Failed {
  readonly type: 'failed';
  readonly id: number;
  readonly reason: string;
}

/** One request with all its replies. */
export interface Channel<Request, Reply> {
  readonly id: number;
  readonly replies: AsyncIterable<Reply | Failed>;
  /** What is transferred is gone here. */
  send(request: Request, transfer?: readonly Transferable[]): void;
  close(): void;
}

export interface WorkerLink<Request, Reply> {
  open(): Channel<Request, Reply>;
  /** The worker ends; a later `open` starts another. */
  disconnect(): void;
}

/** `onDeath`: the worker is gone, and what it had loaded with it. `whose` it is, as sentences name it. */
export function createWorkerLink<Request, Reply extends { readonly id: number }>(
  start: () => Worker,
  onDeath: (reason: string) => void,
  whose = 'the model',
): WorkerLink<Request, Reply> {
  let connection: Connection<Request, Reply> | undefined;
  return {
    open() {
      connection ??= createConnection(start(), whose, (reason) => {
        connection = undefined;
        onDeath(reason);
      });
      return connection.open();
    },
    disconnect() {
      connection?.destroy();
      connection = undefined;
    },
  };
}

interface Connection<Request, Reply> {
  open(): Channel<Request, Reply>;
  destroy(): void;
}

function createConnection<Request, Reply extends { readonly id: number }>(
  worker: Worker,
  whose: string,
  onDeath: (reason: string) => void,
): Connection<Request, Reply> {
  const inboxes = new Map<number, Inbox<Reply | Failed>>();
  let lastId = 0;
  const end = (reason: string) => {
    worker.terminate();
    for (const [id, inbox] of inboxes) inbox.put({ type: 'failed', id, reason });
  };
  const die = (reason: string) => {
    end(reason);
    onDeath(reason);
  };
  worker.onmessage = ({ data }: MessageEvent<Reply>) => inboxes.get(data.id)?.put(data);
  worker.onerror = ({ message }) => die(`${whose}'s worker failed: ${message || 'it could not be started'}`);
  worker.onmessageerror = () => die(`${whose}'s worker sent what could not be read`);
  return {
    open() {
      lastId += 1;
      const id = lastId;
      const inbox = createInbox<Reply | Failed>();
      inboxes.set(id, inbox);
      return {
        id,
        replies: inbox.messages(),
        send: (request, transfer) => worker.postMessage(request, { transfer: [...(transfer ?? [])] }),
        close: () => inboxes.delete(id),
      };
    },
    destroy: () => end(`${whose} was closed`),
  };
}

interface Inbox<Message> {
  put(message: Message): void;
  messages(): AsyncIterable<Message>;
}

function createInbox<Message>(): Inbox<Message> {
  const waiting: Message[] = [];
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
