// For tests of what uses the client: the worker's service on this thread.
import type { WorkerRequest } from '../workers/questions';
import { WorkerHere } from '../workers/worker-here.example';
import type { ActivationQuestions } from './activation-questions';
import { createActivationHandlers } from './activation-service';

export class ActivationWorkerHere extends WorkerHere<ActivationQuestions> {
  /** Answers that were opened in any of them. */
  static opened = 0;

  constructor() {
    super(createActivationHandlers());
  }

  override postMessage(request: WorkerRequest<ActivationQuestions>, options: { transfer: Transferable[] }): void {
    if (request.kind === 'ask' && request.type === 'open') ActivationWorkerHere.opened += 1;
    super.postMessage(request, options);
  }
}
