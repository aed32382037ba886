// Arrow IPC streams of rows, whatever they tell: opened, read row by row, cells as plain values. What a row may hold is
// said by those who read them: run-rows.ts, explain-stream.ts.

import { reasonOf } from '../text/reason-of';
import './bounded-flatbuffers';
import { type RecordBatch, RecordBatchReader, Vector } from 'apache-arrow';

export type ArrowBytes = AsyncIterable<Uint8Array> | Uint8Array;

/** The bytes stop before the stream's own end. */
export interface Broken {
  readonly kind: 'broken';
  readonly why: string;
}

export type ArrowReader = Awaited<ReturnType<typeof openArrow>>;

/** `what`: "a run", for the reasons of refusal. Throws where the bytes are no such stream. */
export async function openArrow(bytes: ArrowBytes, what: string) {
  try {
    const chunks = bytes instanceof Uint8Array ? once(bytes) : bytes;
    const reader = await (await RecordBatchReader.from(chunks)).open();
    if (reader.schema === undefined) throw new Error('it has no schema');
    return reader;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Error(`This is not ${what}: ${reasonOf(error)}`);
  }
}

/** The header, as JSON, under this key of the stream's metadata. */
export function headerText({ schema }: ArrowReader, key: string, what: string): string {
  const text = schema.metadata.get(key);
  if (text === undefined) throw new Error(`This is an Arrow stream, but not ${what}: its metadata has no ${key}`);
  return text;
}

/** Each row as `parse` makes it of its cells by their columns' names, or the reason why no further one can be had. */
export async function* readRows<Row>(
  reader: ArrowReader,
  what: string,
  parse: (cells: Record<string, unknown>) => Row,
): AsyncGenerator<Row | Broken> {
  const batches: AsyncIterator<RecordBatch> = reader[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<RecordBatch>;
    try {
      next = await batches.next();
    } catch (error) {
      if (isAbort(error)) throw error;
      yield { kind: 'broken', why: reasonOf(error) };
      return;
    }
    if (next.done) return;
    for (let at = 0; at < next.value.numRows; at++) yield parse(cellsOf(next.value, at, what));
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

async function* once(bytes: Uint8Array) {
  yield bytes;
}

function cellsOf(batch: RecordBatch, at: number, what: string): Record<string, unknown> {
  const row = batch.schema.fields.map((field, column) => [field.name, plain(batch.getChildAt(column)?.get(at), what)]);
  return Object.fromEntries(row);
}

/** Arrow's lists as typed arrays, or as arrays of plain objects. */
function plain(cell: unknown, what: string): unknown {
  if (!(cell instanceof Vector)) return cell;
  // Offsets that are damaged may claim more records than there are bytes for: they would all be made, one by one.
  const held: ArrayLike<unknown> | undefined = cell.data[0]?.children[0]?.values;
  if (held !== undefined && !(cell.length <= held.length)) {
    throw new Error(`A row of ${what} cannot be read: a list of ${cell.length} records, held are ${held.length}`);
  }
  const values: unknown = cell.toArray();
  return Array.isArray(values) ? values.map((item) => item?.toJSON?.() ?? item) : values;
}
