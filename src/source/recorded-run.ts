import type { RunEvent, RunHeader } from '../contract/run';
import { parseRunStream } from '../contract/run-stream';
import { sha256Hex } from '../contract/sha256';

/**
 * Reads a run file as the events of a live run. Throws if the bytes are not a run; an incomplete run ends with the
 * reason `truncated`.
 */
export async function* openRecorded(bytes: AsyncIterable<Uint8Array> | Uint8Array): AsyncGenerator<RunEvent> {
  for await (const event of parseRunStream(bytes)) {
    yield event.type === 'begin' ? { ...event, header: await recordedHeader(event.header) } : event;
  }
}

/** A run file may have been saved from a live run, and the hash in its header may not match its image. */
async function recordedHeader(header: RunHeader): Promise<RunHeader> {
  const sha256 = await sha256Hex(header.image.bytes);
  return { ...header, image: { ...header.image, sha256 }, recorded: true };
}
