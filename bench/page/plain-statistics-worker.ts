import { measurePlain, type PlainReply, type PlainRequest } from './plain-statistics';

self.onmessage = ({ data }: MessageEvent<PlainRequest>) => {
  self.postMessage({ ms: measurePlain(data) } satisfies PlainReply);
};
