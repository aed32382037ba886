// Reads an Arrow IPC stream row by row, with each cell as a plain value. run-rows.ts and explain-stream.ts define which
// rows are valid.

import { reasonOf } from '../text/reason-of';
import './bounded-flatbuffers';
import { type RecordBatch, RecordBatchReader, Vector } from 'apache-arrow';

export type ArrowBytes = AsyncIterable<Uint8Array> | Uint8Array;

/** Reading stopped before the end of the stream. */
export interface Broken {
  readonly kind: 'broken';
  readonly why: string;
}

export type ArrowReader = Awaited<ReturnType<typeof openArrow>>;

/** `what` names the content in error messages: "a run". Throws if the bytes are not an Arrow stream. */
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

/** Returns the stream's JSON header, stored in its metadata under `key`. */
export function headerText({ schema }: ArrowReader, key: string, what: string): string {
  const text = schema.metadata.get(key);
  if (text === undefined) throw new Error(`This is an Arrow stream, but not ${what}: its metadata has no ${key}`);
  return text;
}

/**
 * Yields each row as returned by `parse`, which receives the cells by column name. If the stream breaks, yields the
 * reason and stops.
 */
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

/** Converts Arrow lists to typed arrays or arrays of plain objects. */
function plain(cell: unknown, what: string): unknown {
  if (!(cell instanceof Vector)) return cell;
  // Damaged offsets may claim more records than there are bytes, and `toArray` would create every one of them.
  const stored: ArrayLike<unknown> | undefined = cell.data[0]?.children[0]?.values;
  if (stored !== undefined && !(cell.length <= stored.length)) {
    throw new Error(
      `A row of ${what} cannot be read: a list claims ${cell.length} records, but only ${stored.length} are stored`,
    );
  }
  const values: unknown = cell.toArray();
  return Array.isArray(values) ? values.map((item) => item?.toJSON?.() ?? item) : values;
}
