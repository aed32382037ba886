// A run as bytes: an Arrow IPC stream, format version 1, written by companion/src/patchlight/wire.py.
//
// The schema's metadata holds the header as JSON under `patchlight.run`. One row is one record batch, so that each
// token is seen as it comes: `image`, `states` (the image tokens' hidden states, fp16), `token` rows, one `end`.
// A stream that stops without its `end` row is a truncated run, and says so in the `end` event made here.

import { type RecordBatch, RecordBatchReader, Vector } from 'apache-arrow';
import * as z from 'zod/mini';
import type { AnswerToken, RunEnd, RunEvent, RunHeader } from './run';

const supportedFormat = 1;
const metadataKey = 'patchlight.run';

const count = z.int().check(z.positive());
const index = z.int().check(z.nonnegative());
const stage = z.enum(['post_norm', 'pre_norm']);
const share = z.number().check(z.gte(0), z.lte(1));

const header = z.object({
  id: z.string(),
  createdAt: z.string(),
  question: z.string(),
  image: z.object({ mediaType: z.string(), name: z.string() }),
  geometry: z.object({
    sourceWidthPx: count,
    sourceHeightPx: count,
    modelWidthPx: count,
    modelHeightPx: count,
    crop: z.object({ xPx: z.number(), yPx: z.number(), widthPx: z.number(), heightPx: z.number() }),
    grid: z.object({ rows: count, cols: count }),
    preprocessing: z.string(),
  }),
  model: z.object({ name: z.string(), revision: z.string(), hiddenSize: count, stage, knows: z.string() }),
  head: z.nullable(
    z.object({
      name: z.string(),
      revision: z.string(),
      stage,
      teacher: z.string(),
      labellingThreshold: share,
      classificationThreshold: share,
    }),
  ),
  recorded: z.boolean(),
});

const alternative = z.object({ tokenId: index, text: z.string(), logProb: z.number() });

const row = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('image'), picture: z.instanceof(Uint8Array) }),
  /** fp16 as its bits. */
  z.object({ kind: z.literal('states'), states: z.instanceof(Uint16Array) }),
  z.object({
    kind: z.literal('token'),
    index,
    tokenId: index,
    text: z.string(),
    word: index,
    logProb: z.number(),
    alternatives: z.array(alternative),
    queryState: z.instanceof(Uint16Array),
    map: z.nullable(z.instanceof(Float32Array)),
    mapBackend: z.nullable(z.enum(['webgpu', 'wasm', 'python'])),
    mapComputeMs: z.nullable(z.number()),
  }),
  z.object({
    kind: z.literal('end'),
    reason: z.enum(['stop', 'length', 'cancelled', 'failed', 'truncated']),
    answerMs: z.number(),
    firstTokenMs: z.number(),
    message: z.nullable(z.string()),
  }),
]);

type Row = z.infer<typeof row>;
type TokenRow = Extract<Row, { kind: 'token' }>;
type ParsedHeader = z.infer<typeof header>;

/** Throws where the bytes are no run of version 1 or contradict themselves; where they only stop early, ends `truncated`. */
export async function* parseRunStream(bytes: AsyncIterable<Uint8Array> | Uint8Array): AsyncGenerator<RunEvent> {
  const reader = await openReader(bytes);
  const facts = parseHeader(reader.schema.metadata.get(metadataKey));
  const patches = facts.geometry.grid.rows * facts.geometry.grid.cols;
  let begun = false;
  let tokens = 0;
  for await (const read of readRows(reader)) {
    if (read.kind === 'broken') {
      if (begun) yield { type: 'end', end: truncated(tokens, read.why) };
      else throw new Error(`This run breaks off before its image: ${read.why}`);
      return;
    }
    if (!begun && read.kind !== 'image') throw new Error(`This run starts with a row of kind ${read.kind}, not image`);
    switch (read.kind) {
      case 'image':
        begun = true;
        yield { type: 'begin', header: runHeader(facts, read.picture) };
        break;
      case 'states':
        ensureLength('Image states', read.states.length, patches * facts.model.hiddenSize);
        break;
      case 'token': {
        if (read.index !== tokens) throw new Error(`Token ${read.index} comes where token ${tokens} is due`);
        ensureLength(`Query state of token ${read.index}`, read.queryState.length, facts.model.hiddenSize);
        tokens += 1;
        yield { type: 'token', token: answerToken(read) };
        const map = relevancyMap(read, patches);
        if (map !== undefined) yield map;
        break;
      }
      case 'end':
        yield { type: 'end', end: runEnd(read) };
        return;
    }
  }
  if (!begun) throw new Error('This run has no image');
  yield { type: 'end', end: truncated(tokens, 'its end row is missing') };
}

type Reader = Awaited<ReturnType<typeof openReader>>;

async function openReader(bytes: AsyncIterable<Uint8Array> | Uint8Array) {
  try {
    const chunks = bytes instanceof Uint8Array ? once(bytes) : bytes;
    const reader = await (await RecordBatchReader.from(chunks)).open();
    if (reader.schema === undefined) throw new Error('it has no schema');
    return reader;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Error(`This is not a run: ${reason(error)}`);
  }
}

/** A row, or the reason why no further one can be had. */
async function* readRows(reader: Reader): AsyncGenerator<Row | { readonly kind: 'broken'; readonly why: string }> {
  const batches: AsyncIterator<RecordBatch> = reader[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<RecordBatch>;
    try {
      next = await batches.next();
    } catch (error) {
      if (isAbort(error)) throw error;
      yield { kind: 'broken', why: reason(error) };
      return;
    }
    if (next.done) return;
    for (let at = 0; at < next.value.numRows; at++) yield parseRow(next.value, at);
  }
}

async function* once(bytes: Uint8Array) {
  yield bytes;
}

function parseRow(batch: RecordBatch, at: number): Row {
  const cells = batch.schema.fields.map((field, column) => [field.name, plain(batch.getChildAt(column)?.get(at))]);
  const result = row.safeParse(Object.fromEntries(cells));
  if (result.success) return result.data;
  throw new Error(`A row of this run cannot be read: ${z.prettifyError(result.error)}`);
}

/** Arrow's lists as typed arrays, or as arrays of plain objects. */
function plain(cell: unknown): unknown {
  if (!(cell instanceof Vector)) return cell;
  const values: unknown = cell.toArray();
  return Array.isArray(values) ? values.map((item) => item?.toJSON?.() ?? item) : values;
}

function parseHeader(text: string | undefined): ParsedHeader {
  if (text === undefined) throw new Error(`This is an Arrow stream, but not a run: its metadata has no ${metadataKey}`);
  const data: unknown = JSON.parse(text);
  const version = z.safeParse(z.object({ formatVersion: z.unknown() }), data).data?.formatVersion;
  if (version !== supportedFormat) {
    throw new Error(`This run has format version ${version}; this page reads version ${supportedFormat}`);
  }
  const result = header.safeParse(data);
  if (result.success) return result.data;
  throw new Error(`This run's header cannot be read: ${z.prettifyError(result.error)}`);
}

function runHeader(facts: ParsedHeader, picture: Uint8Array): RunHeader {
  return {
    ...facts,
    formatVersion: supportedFormat,
    // Copied out, for the batch's buffer holds more than the picture.
    image: { ...facts.image, bytes: new Uint8Array(picture) },
    head: facts.head ?? undefined,
  };
}

function answerToken({ index, tokenId, text, word, logProb, alternatives }: TokenRow): AnswerToken {
  return { index, tokenId, text, word, logProb, alternatives };
}

function relevancyMap(token: TokenRow, patches: number): RunEvent | undefined {
  if (token.map === null || token.mapBackend === null || token.mapComputeMs === null) return undefined;
  ensureLength(`Map of token ${token.index}`, token.map.length, patches);
  return {
    type: 'map',
    map: {
      method: 'FastRM',
      tokenIndex: token.index,
      values: token.map.slice(),
      backend: token.mapBackend,
      computeMs: token.mapComputeMs,
    },
  };
}

function runEnd({ reason, answerMs, firstTokenMs, message }: Extract<Row, { kind: 'end' }>): RunEnd {
  return { reason, answerMs, firstTokenMs, ...(message === null ? {} : { message }) };
}

/** Its times are 0, for nobody knows them. */
function truncated(tokens: number, why: string): RunEnd {
  const message = `The run breaks off after ${tokens} tokens: ${why}`;
  return { reason: 'truncated', answerMs: 0, firstTokenMs: 0, message };
}

function ensureLength(what: string, found: number, wanted: number): void {
  if (found !== wanted) throw new Error(`${what}: ${found} numbers, the header says ${wanted}`);
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
