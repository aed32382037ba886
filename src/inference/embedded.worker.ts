import type { WorkerReply, WorkerRequest } from './messages';
import { createModelService } from './model-service';

const reply = (message: WorkerReply) => {
  const isMap = message.type === 'event' && message.event.type === 'map';
  // A map's values are transferred: the worker does not touch them again.
  postMessage(message, { transfer: isMap ? [message.event.map.values.buffer as ArrayBuffer] : [] });
};

const service = createModelService(reply);
addEventListener('message', ({ data }: MessageEvent<WorkerRequest>) => service.receive(data));
