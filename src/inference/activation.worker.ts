import type { ActivationReply, ActivationRequest } from './activation-messages';
import { createActivationService } from './activation-service';

const reply = (message: ActivationReply) => {
  // The values are transferred: the worker does not touch them again.
  postMessage(message, { transfer: message.type === 'map' ? [message.map.values.buffer as ArrayBuffer] : [] });
};

const service = createActivationService(reply);
addEventListener('message', ({ data }: MessageEvent<ActivationRequest>) => service.receive(data));
