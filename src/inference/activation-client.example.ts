// For tests of what uses the client: the worker's service behind a worker's own interface, on this thread.
import type { ActivationReply, ActivationRequest } from './activation-messages';
import { createActivationService } from './activation-service';

export class ActivationWorkerHere {
  /** Answers that were opened in any of them. */
  static opened = 0;

  onmessage: (event: { data: ActivationReply }) => void = () => {};
  private readonly service = createActivationService((reply) => {
    setTimeout(() => this.onmessage({ data: structuredClone(reply) }));
  });

  postMessage(message: ActivationRequest, options: { transfer: Transferable[] }): void {
    if (message.type === 'open') ActivationWorkerHere.opened += 1;
    const data = structuredClone(message, options);
    setTimeout(() => this.service.receive(data));
  }

  terminate(): void {}
}
