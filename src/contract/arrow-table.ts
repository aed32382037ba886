import './bounded-flatbuffers';
import { CompressionType, compressionRegistry, type Data, DataType, tableFromIPC, type Vector } from 'apache-arrow';
import { decompress as decompressZstd } from 'fzstd';
import { reasonOf } from '../text/reason-of';
import { cellReaderOf, ensureNumeric, isListType } from './arrow-cells';
import { decompressLz4Frames } from './lz4-frame';
import { categoriesOf, countedRow, type ListColumn, listsOf, numberOf, type RawTable, textOf } from './raw-table';

compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: decompressLz4Frames });
compressionRegistry.set(CompressionType.ZSTD, { decode: zstd });

/** Copies the result, which may start at an odd place of a larger buffer: typed arrays need aligned bytes. */
function zstd(bytes: Uint8Array): Uint8Array {
  return decompressZstd(bytes).slice();
}

/** Reads an Arrow IPC file (which Feather files are) or stream. */
export function readArrowTable(bytes: Uint8Array, kind: 'arrow file' | 'arrow stream'): RawTable {
  if (kind === 'arrow file' && !endsComplete(bytes))
    throw new Error('the Arrow file is incomplete: its end is missing. Copy, download or write it again');
  const table = decoded(bytes);
  const rows = table.numRows;
  const ensureColumn = (name: string): Vector => {
    const column = table.getChild(name);
    if (column === null) throw new Error(`it has no column ${name}`);
    return column;
  };
  const textsOf = (name: string) => {
    const column = ensureColumn(name);
    const read = cellReaderOf(column.type);
    return { at: (row: number) => textOf(read(column.get(row))) };
  };
  return {
    format: 'Arrow',
    rows,
    names: table.schema.names.map(String),
    metadata: table.schema.metadata,
    notes:
      kind === 'arrow stream' && !endsStream(bytes)
        ? ['The Arrow stream has no end marker, so rows may be missing at its end.']
        : [],
    place: countedRow,
    isList: (name) => isListType(ensureColumn(name).type),
    numbers(name, numberKind) {
      const column = ensureColumn(name);
      ensureNumeric(column.type, name);
      const read = cellReaderOf(column.type);
      return Float64Array.from({ length: rows }, (_, row) => numberOf(read(column.get(row)), name, row, numberKind));
    },
    texts: textsOf,
    categories: (name) => categoriesOf(rows, textsOf(name).at, name),
    lists(name, numberKind = 'number') {
      const column = ensureColumn(name);
      ensureNumeric(column.type, name);
      const read = cellReaderOf(column.type);
      return (
        plainLists(column, rows, numberKind === 'truth') ??
        listsOf(rows, (row) => read(column.get(row)), name, numberKind)
      );
    },
    textLists(name) {
      const column = ensureColumn(name);
      const read = cellReaderOf(column.type);
      return (row) => {
        const cells = read(column.get(row));
        return Array.isArray(cells) ? cells.map((cell) => textOf(cell) ?? '') : [];
      };
    },
  };
}

const magic = new TextEncoder().encode('ARROW1');

function endsComplete(bytes: Uint8Array): boolean {
  const end = bytes.subarray(-magic.length);
  return bytes.length > 2 * magic.length && magic.every((byte, i) => end[i] === byte);
}

/** A stream ends with a message of no length. */
function endsStream(bytes: Uint8Array): boolean {
  return [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0].every((byte, i) => bytes.at(i - 8) === byte);
}

function decoded(bytes: Uint8Array) {
  try {
    return tableFromIPC(bytes);
  } catch (error) {
    const reason = reasonOf(error);
    const type = /Unrecognized type: "(\w+)"/.exec(reason)?.[1];
    if (type !== undefined)
      throw new Error(
        `it has a column of type ${type}, which this page cannot read. Save the table as Parquet, or convert the column to List or plain values`,
        { cause: error },
      );
    throw new Error(`the Arrow data is damaged or incomplete (${reason}). Copy, download or write it again`, {
      cause: error,
    });
  }
}

/** Fast path for lists of floats or truths without nulls (nearly all of them): copies a million rows in milliseconds. */
function plainLists(column: Vector, rows: number, isTruth: boolean): ListColumn | undefined {
  const chunks: readonly Data[] = column.data;
  const isListed = ({ type }: Data) => DataType.isList(type) || DataType.isLargeList(type);
  if (!chunks.every((chunk) => isListed(chunk) && isPlain(chunk) && isPlain(chunk.children[0]))) return;
  const starts = new Uint32Array(rows + 1);
  const parts: ArrayLike<number>[] = [];
  let row = 0;
  for (const chunk of chunks) {
    const offsets: ArrayLike<number | bigint> = chunk.valueOffsets;
    const stored = plainValues(chunk.children[0]!, isTruth);
    if (stored === undefined) return;
    const offsetAt = (i: number) => Number(offsets[i] ?? 0);
    const [from, to] = [offsetAt(0), offsetAt(chunk.length)];
    if (!(to <= stored.length))
      throw new Error(`a column's lists claim ${to} values, but only ${stored.length} are stored`);
    const before = starts[row]!;
    for (let i = 1; i <= chunk.length; i++) {
      if (!(offsetAt(i) >= offsetAt(i - 1)))
        throw new Error(`a column's list has a negative length in ${countedRow(row + i - 1)}`);
      starts[row + i] = before + offsetAt(i) - from;
    }
    parts.push(stored.subarray(from, to));
    row += chunk.length;
  }
  const values = new Float32Array(starts[rows]!);
  let place = 0;
  for (const part of parts) {
    values.set(part, place);
    place += part.length;
  }
  return { starts, values };
}

const isPlain = (data: Data | undefined) => data !== undefined && data.offset === 0 && data.nullCount === 0;

function plainValues(
  { type, values, length }: Data,
  isTruth: boolean,
): Float32Array | Float64Array | Uint8Array | undefined {
  if (values instanceof Float32Array || values instanceof Float64Array) return values;
  if (!isTruth || !DataType.isBool(type) || !(values instanceof Uint8Array) || values.length * 8 < length) return;
  return Uint8Array.from({ length }, (_, i) => (values[i >> 3]! >> (i & 7)) & 1);
}
