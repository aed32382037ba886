import { formatCount } from '../text/number-format';
import type { StateRows } from './answer-states';
import { type ArrowBytes, isAbort } from './arrow-rows';
import { imagesOf, type RunEnd, type StoredRunEvent, type StoredRunHeader } from './run';
import type { StreamHeader } from './run-header';
import { openRunRows } from './run-rows';

/**
 * Yields a recorded run's events. Throws if the bytes are not a run or are invalid before the first token. An invalid
 * row after that ends the run as `failed`. If the bytes merely end early, the run keeps its tokens and ends as
 * `truncated`.
 */
export async function* parseRunStream(bytes: ArrowBytes): AsyncGenerator<StoredRunEvent> {
  const { header, rows } = await openRunRows(bytes);
  const pictures: Uint8Array<ArrayBuffer>[] = [];
  const hasImages = () => pictures.length === imagesOf(header).length;
  let tokens = 0;
  try {
    for await (const row of rows) {
      if (row.kind === 'broken') {
        if (!hasImages()) throw new Error(`This run was cut off before its image: ${row.why}`);
        yield { type: 'end', end: truncated(tokens, row.why) };
        return;
      }
      if (row.kind === 'queued') continue; // a saved stream may contain outdated queue rows
      if (!hasImages() && row.kind !== 'image')
        throw new Error(`This run has a row of kind ${row.kind} before its image`);
      switch (row.kind) {
        case 'image':
          // Copy the bytes: the batch's buffer holds more than the image.
          pictures.push(new Uint8Array(row.picture));
          if (hasImages()) yield { type: 'begin', header: runHeader(header, pictures) };
          break;
        case 'states':
          yield { type: 'patch-states', states: copyOf(row.states) };
          break;
        case 'prompt':
          yield { type: 'prompt', tokens: row.tokens };
          break;
        case 'token':
          tokens += 1;
          yield {
            type: 'token',
            token: row.token,
            states: { query: copyOf(row.queryState), attentionLogits: row.attentionLogits },
          };
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

/** Copied so that the larger buffer of the stream can be freed. */
function copyOf({ values, rows, cols }: StateRows): StateRows {
  return { values: values.slice(), rows, cols };
}

function runHeader(header: StreamHeader, pictures: readonly Uint8Array<ArrayBuffer>[]): StoredRunHeader {
  const [first] = pictures;
  if (first === undefined) throw new Error('This run has no image');
  return {
    ...header,
    image: { ...header.image, bytes: first },
    images: header.images?.map((facts, at) => ({ ...facts, bytes: pictures[at]! })),
  };
}

/** The times are unknown, so they are 0. */
function truncated(tokens: number, why: string): RunEnd {
  const message = `The run was cut off after ${formatCount(tokens, 'token', 'tokens')}: ${why}`;
  return { reason: 'truncated', answerMs: 0, firstTokenMs: 0, message };
}
