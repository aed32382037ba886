import { type ArrowBytes, isAbort } from './arrow-rows';
import type { RunEnd, RunEvent, RunHeader } from './run';
import type { StreamHeader } from './run-header';
import { openRunRows } from './run-rows';

/**
 * A recorded run's events. Throws where the bytes are no run, or contradict themselves before the first token; what is
 * wrong later ends the run as `failed`, and bytes that only stop early as `truncated`, with the tokens that came.
 */
export async function* parseRunStream(bytes: ArrowBytes): AsyncGenerator<RunEvent> {
  const { header, rows } = await openRunRows(bytes);
  let begun = false;
  let tokens = 0;
  try {
    for await (const row of rows) {
      if (row.kind === 'broken') {
        if (!begun) throw new Error(`This run breaks off before its image: ${row.why}`);
        yield { type: 'end', end: truncated(tokens, row.why) };
        return;
      }
      if (row.kind === 'queued') continue; // a saved stream may tell of a queue that is long gone
      if (!begun && row.kind !== 'image') throw new Error(`This run has no image before its row of kind ${row.kind}`);
      switch (row.kind) {
        case 'image':
          begun = true;
          yield { type: 'begin', header: runHeader(header, row.picture) };
          break;
        case 'states':
          break;
        case 'prompt':
          yield { type: 'prompt', tokens: row.tokens };
          break;
        case 'token':
          tokens += 1;
          yield { type: 'token', token: row.token };
          if (row.map) yield { type: 'map', map: { method: 'fastrm', tokenIndex: row.token.index, ...row.map } };
          break;
        case 'end':
          yield { type: 'end', end: row.end };
          return;
      }
    }
  } catch (error) {
    if (tokens === 0 || isAbort(error) || !(error instanceof Error)) throw error;
    yield { type: 'end', end: { reason: 'failed', answerMs: 0, firstTokenMs: 0, message: error.message } };
  }
}

function runHeader(header: StreamHeader, picture: Uint8Array): RunHeader {
  // Copied out, for the batch's buffer holds more than the picture.
  return { ...header, image: { ...header.image, bytes: new Uint8Array(picture) } };
}

/** Its times are 0, for nobody knows them. */
function truncated(tokens: number, why: string): RunEnd {
  const message = `The run breaks off after ${tokens} tokens: ${why}`;
  return { reason: 'truncated', answerMs: 0, firstTokenMs: 0, message };
}
