import type { RunEvent } from '../contract/run';
import { parseRunStream } from '../contract/run-stream';

/** A saved run, as the same events that a live one gives. Throws where the bytes are no run; one cut short ends `truncated`. */
export async function* openRecorded(bytes: AsyncIterable<Uint8Array> | Uint8Array): AsyncGenerator<RunEvent> {
  for await (const event of parseRunStream(bytes)) {
    // A file may have been saved while its answer was still being computed.
    yield event.type === 'begin' ? { ...event, header: { ...event.header, recorded: true } } : event;
  }
}
