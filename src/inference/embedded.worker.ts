import type { WorkerReply, WorkerRequest } from './messages';
import { createModelService } from './model-service';

const reply = (message: WorkerReply) => {
  const isEvent = message.type === 'event' || message.type === 'explained';
  const map = isEvent && message.event.type === 'map' ? message.event.map : undefined;
  // A map's values are transferred: the worker does not touch them again.
  postMessage(message, { transfer: map ? [map.values.buffer as ArrayBuffer] : [] });
};

const service = createModelService(reply);
addEventListener('message', ({ data }: MessageEvent<WorkerRequest>) => service.receive(data));
