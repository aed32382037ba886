// Runs a worker's service on this thread behind the `Worker` interface, for tests.
import type { Protocol, WorkerMessage, WorkerReply } from './protocol';
import { createWorkerLink, type WorkerLink } from './worker-link';
import { createWorkerService, type Handlers, type ServiceOptions } from './worker-service';

export class WorkerHere<P extends Protocol<P>> {
  onmessage: (event: { data: WorkerReply<P> }) => void = () => {};
  onerror: (event: { message: string }) => void = () => {};
  onmessageerror: () => void = () => {};
  private readonly receive: (message: WorkerMessage<P>) => void;
  private readonly inbox: WorkerMessage<P>[] = [];
  private isAlive = true;

  constructor(handlers: Handlers<P>, options?: ServiceOptions) {
    const post = (reply: WorkerReply<P>, transfer: Transferable[]) => {
      const data = structuredClone(reply, { transfer });
      setTimeout(() => this.isAlive && this.onmessage({ data }));
    };
    this.receive = createWorkerService(handlers, post, options).receive;
  }

  postMessage(message: WorkerMessage<P>, options: { transfer: Transferable[] }): void {
    // Messages sent in one task arrive together, as from a real worker's queue.
    this.inbox.push(structuredClone(message, options));
    if (this.inbox.length === 1) setTimeout(() => this.deliver());
  }

  terminate(): void {
    this.isAlive = false;
  }

  private deliver(): void {
    for (const message of this.inbox.splice(0)) if (this.isAlive) this.receive(message);
  }
}

/** Links the page's side to a worker's side with these handlers. */
export function linkHere<P extends Protocol<P>>(handlers: Handlers<P>, options?: ServiceOptions): WorkerLink<P> {
  return createWorkerLink<P>(() => new WorkerHere(handlers, options) as unknown as Worker, { onDeath: () => {} });
}
