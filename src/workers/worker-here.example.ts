// For tests: a worker's service behind a worker's own interface, on this thread.
import type { QuestionMap, WorkerReply, WorkerRequest } from './questions';
import { createWorkerLink, type WorkerLink } from './worker-link';
import { createWorkerService, type Handlers, type ServiceOptions } from './worker-service';

export class WorkerHere<Q extends QuestionMap<Q>> {
  onmessage: (event: { data: WorkerReply<Q> }) => void = () => {};
  onerror: (event: { message: string }) => void = () => {};
  onmessageerror: () => void = () => {};
  private readonly receive: (request: WorkerRequest<Q>) => void;
  private isAlive = true;

  constructor(handlers: Handlers<Q>, options?: ServiceOptions) {
    const post = (reply: WorkerReply<Q>, transfer: Transferable[]) => {
      const data = structuredClone(reply, { transfer });
      setTimeout(() => this.isAlive && this.onmessage({ data }));
    };
    this.receive = createWorkerService(handlers, post, options).receive;
  }

  postMessage(request: WorkerRequest<Q>, options: { transfer: Transferable[] }): void {
    const data = structuredClone(request, options);
    setTimeout(() => this.isAlive && this.receive(data));
  }

  terminate(): void {
    this.isAlive = false;
  }
}

/** The page's end and the worker's, with these handlers. */
export function linkHere<Q extends QuestionMap<Q>>(handlers: Handlers<Q>, options?: ServiceOptions): WorkerLink<Q> {
  return createWorkerLink<Q>(() => new WorkerHere(handlers, options) as unknown as Worker, { onDeath: () => {} });
}
