// The worker's side: passes each request to its handler, and replies with what the handler returns or throws.
import { reasonOf } from '../text/reason-of';
import { macrotask } from './macrotask';
import type { EventOf, Protocol, RequestMessage, TypeOf, WorkerMessage, WorkerReply } from './protocol';
import { createSerialQueue } from './serial-queue';

/** The context of a request, passed to its handler. */
export interface Task<Event> {
  /** Aborted when the page cancels the request or a later one with the same key supersedes it. */
  readonly signal: AbortSignal;
  emit(event: Event, transfer?: readonly Transferable[]): void;
  /** Transfers buffers to the page with the response: the worker must not use them afterwards. */
  handOver(...buffers: Transferable[]): void;
  /** Receives pending messages between two steps; throws if `signal` is aborted. */
  pause(): Promise<void>;
}

export type Handlers<P extends Protocol<P>> = {
  readonly [Type in TypeOf<P>]: Handler<P, Type>;
};

type Handler<P extends Protocol<P>, Type extends TypeOf<P>> = (
  request: P[Type]['request'],
  task: Task<EventOf<P, Type>>,
) => P[Type]['response'] | Promise<P[Type]['response']>;

export interface ServiceOptions {
  /** Whether to handle requests concurrently; by default, they are handled one at a time, in order of arrival. */
  readonly isConcurrent?: boolean;
}

/** Abort reason of a superseded request. */
const superseded = Symbol('superseded by a later request');

export function createWorkerService<P extends Protocol<P>>(
  handlers: Handlers<P>,
  post: (reply: WorkerReply<P>, transfer: Transferable[]) => void,
  { isConcurrent = false }: ServiceOptions = {},
): { receive(message: WorkerMessage<P>): void } {
  const turns = createSerialQueue();
  const running = new Map<number, AbortController>();
  const latest = new Map<string, AbortController>();

  async function handle({ id, type, request }: RequestMessage<P>, signal: AbortSignal): Promise<void> {
    const moved: Transferable[] = [];
    const task: Task<EventOf<P, TypeOf<P>>> = {
      signal,
      emit: (event, transfer = []) => post({ kind: 'event', id, event }, [...transfer]),
      handOver: (...buffers) => void moved.push(...buffers),
      async pause() {
        await macrotask();
        signal.throwIfAborted();
      },
    };
    try {
      if (signal.reason === superseded) throw superseded;
      post({ kind: 'response', id, response: await handlers[type](request, task) }, moved);
    } catch (error) {
      post(error === superseded ? { kind: 'superseded', id } : { kind: 'failed', id, reason: reasonOf(error) }, []);
    }
  }

  function start(message: RequestMessage<P>): void {
    const { id, key } = message;
    const controller = new AbortController();
    running.set(id, controller);
    if (key !== undefined) {
      latest.get(key)?.abort(superseded);
      latest.set(key, controller);
    }
    const task = async () => {
      // Receive pending messages first, so that only the last of several requests with one key is handled.
      if (!isConcurrent) await macrotask();
      await handle(message, controller.signal);
      running.delete(id);
      if (key !== undefined && latest.get(key) === controller) latest.delete(key);
    };
    void (isConcurrent ? task() : turns.run(task));
  }

  return {
    receive(message) {
      if (message.kind === 'request') start(message);
      else running.get(message.id)?.abort();
    },
  };
}

/** Handles the page's messages; call this in the worker's entry file. */
export function serve<P extends Protocol<P>>(handlers: Handlers<P>, options?: ServiceOptions): void {
  const service = createWorkerService(handlers, (reply, transfer) => postMessage(reply, { transfer }), options);
  addEventListener('message', ({ data }: MessageEvent<WorkerMessage<P>>) => service.receive(data));
}
