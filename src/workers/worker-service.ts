// The worker's end: each request goes to its handler, and what the handler gives or throws goes back as a reply.
import { reasonOf } from '../text/reason-of';
import { macrotask } from './macrotask';
import type { AskMessage, EventOf, QuestionMap, TypeOf, WorkerReply, WorkerRequest } from './questions';
import { createSerialQueue } from './serial-queue';

/** What a handler can do about the request that it handles. */
export interface Task<Event> {
  /** Aborted when the page cancels the request, or when a later one of its key takes its place. */
  readonly signal: AbortSignal;
  emit(event: Event, transfer?: readonly Transferable[]): void;
  /** Moves buffers to the page with the answer: the worker must not touch them again. */
  handOver(...buffers: Transferable[]): void;
  /** Lets waiting messages in between two steps; throws once `signal` is aborted. */
  pause(): Promise<void>;
}

export type Handlers<Q extends QuestionMap<Q>> = {
  readonly [Type in TypeOf<Q>]: Handler<Q, Type>;
};

type Handler<Q extends QuestionMap<Q>, Type extends TypeOf<Q>> = (
  asked: Q[Type]['asks'],
  task: Task<EventOf<Q, Type>>,
) => Q[Type]['answers'] | Promise<Q[Type]['answers']>;

export interface ServiceOptions {
  /** Several requests are handled at once; by default one after the other, in the order in which they came. */
  readonly isConcurrent?: boolean;
}

/** The reason for an abort. */
const superseded = Symbol('a later request replaced it');

export function createWorkerService<Q extends QuestionMap<Q>>(
  handlers: Handlers<Q>,
  post: (reply: WorkerReply<Q>, transfer: Transferable[]) => void,
  { isConcurrent = false }: ServiceOptions = {},
): { receive(request: WorkerRequest<Q>): void } {
  const turns = createSerialQueue();
  const running = new Map<number, AbortController>();
  const latest = new Map<string, AbortController>();

  async function handle({ id, type, asked }: AskMessage<Q>, signal: AbortSignal): Promise<void> {
    const moved: Transferable[] = [];
    const task: Task<EventOf<Q, TypeOf<Q>>> = {
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
      post({ kind: 'answer', id, answer: await handlers[type](asked, task) }, moved);
    } catch (error) {
      post(error === superseded ? { kind: 'superseded', id } : { kind: 'failed', id, reason: reasonOf(error) }, []);
    }
  }

  function start(request: AskMessage<Q>): void {
    const { id, key } = request;
    const controller = new AbortController();
    running.set(id, controller);
    if (key !== undefined) {
      latest.get(key)?.abort(superseded);
      latest.set(key, controller);
    }
    const task = async () => {
      // Messages that were sent by now are heard first, so that of several with one key only the last is handled.
      if (!isConcurrent) await macrotask();
      await handle(request, controller.signal);
      running.delete(id);
      if (key !== undefined && latest.get(key) === controller) latest.delete(key);
    };
    void (isConcurrent ? task() : turns.run(task));
  }

  return {
    receive(request) {
      if (request.kind === 'ask') start(request);
      else running.get(request.id)?.abort();
    },
  };
}

/** Answers the page's messages; called in the worker's own file. */
export function serve<Q extends QuestionMap<Q>>(handlers: Handlers<Q>, options?: ServiceOptions): void {
  const service = createWorkerService(handlers, (reply, transfer) => postMessage(reply, { transfer }), options);
  addEventListener('message', ({ data }: MessageEvent<WorkerRequest<Q>>) => service.receive(data));
}
