import type { HeadReply, HeadRequest } from './head-messages';
import { createHeadService } from './head-service';

const reply = (message: HeadReply) => {
  // The maps' values are transferred: the worker does not touch them again.
  postMessage(message, { transfer: message.type === 'maps' ? [message.maps.values.buffer as ArrayBuffer] : [] });
};

const service = createHeadService(reply);
addEventListener('message', ({ data }: MessageEvent<HeadRequest>) => service.receive(data));
