// Runs the worker's service on this thread, for tests of code that uses the client.
import type { WorkerMessage } from '../workers/protocol';
import { WorkerHere } from '../workers/worker-here.example';
import type { ActivationProtocol } from './activation-protocol';
import { createActivationHandlers } from './activation-service';

export class ActivationWorkerHere extends WorkerHere<ActivationProtocol> {
  /** Number of answers opened across all instances. */
  static opened = 0;

  constructor() {
    super(createActivationHandlers());
  }

  override postMessage(message: WorkerMessage<ActivationProtocol>, options: { transfer: Transferable[] }): void {
    if (message.kind === 'request' && message.type === 'open') ActivationWorkerHere.opened += 1;
    super.postMessage(message, options);
  }
}
