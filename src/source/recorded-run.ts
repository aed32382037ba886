import type { RunEvent, RunHeader } from '../contract/run';
import { parseRunStream } from '../contract/run-stream';
import { sha256Hex } from '../contract/sha256';

/** A saved run, as the same events that a live one gives. Throws where the bytes are no run; one cut short ends `truncated`. */
export async function* openRecorded(bytes: AsyncIterable<Uint8Array> | Uint8Array): AsyncGenerator<RunEvent> {
  for await (const event of parseRunStream(bytes)) {
    yield event.type === 'begin' ? { ...event, header: await recordedHeader(event.header) } : event;
  }
}

/** A file may have been saved while its answer was still being computed, and its picture may not be the one it names. */
async function recordedHeader(header: RunHeader): Promise<RunHeader> {
  const sha256 = await sha256Hex(header.image.bytes);
  return { ...header, image: { ...header.image, sha256 }, recorded: true };
}
