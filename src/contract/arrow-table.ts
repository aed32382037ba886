import './bounded-flatbuffers';
import { type Data, DataType, tableFromIPC, Vector } from 'apache-arrow';
import { categoriesOf, type ListColumn, listsOf, numberOf, type RawTable, textOf } from './raw-table';

/** Reads an Arrow IPC file or stream. */
export function readArrowTable(bytes: Uint8Array): RawTable {
  const table = tableFromIPC(bytes);
  const rows = table.numRows;
  const ensureColumn = (name: string): Vector => {
    const column = table.getChild(name);
    if (column === null) throw new Error(`it has no column ${name}`);
    return column;
  };
  return {
    format: 'Arrow',
    rows,
    names: table.schema.names.map(String),
    metadata: table.schema.metadata,
    isList: (name) => DataType.isList(ensureColumn(name).type) || DataType.isFixedSizeList(ensureColumn(name).type),
    numbers(name) {
      const column = ensureColumn(name);
      return Float64Array.from({ length: rows }, (_, row) => numberOf(column.get(row), name, row));
    },
    texts(name) {
      const column = ensureColumn(name);
      return { at: (row) => textOf(column.get(row)) };
    },
    categories(name) {
      const column = ensureColumn(name);
      return categoriesOf(rows, (row) => textOf(column.get(row)), name);
    },
    lists(name) {
      const column = ensureColumn(name);
      return plainLists(column, rows) ?? listsOf(rows, (row) => cellsOf(column.get(row)), name);
    },
    textLists(name) {
      const column = ensureColumn(name);
      return (row) => {
        const cells: unknown = column.get(row);
        return cells instanceof Vector ? Array.from(cells, (cell) => textOf(cell) ?? '') : [];
      };
    },
  };
}

const cellsOf = (cell: unknown) => (cell instanceof Vector ? Array.from(cell) : cell);

/** Fast path for lists of float32 or bool without nulls (nearly all of them): copies a million rows in milliseconds. */
function plainLists(column: Vector, rows: number): ListColumn | undefined {
  const chunks: readonly Data[] = column.data;
  if (!chunks.every((chunk) => DataType.isList(chunk.type) && isPlain(chunk) && isPlain(chunk.children[0]))) return;
  const starts = new Uint32Array(rows + 1);
  const parts: ArrayLike<number>[] = [];
  let row = 0;
  for (const chunk of chunks) {
    const offsets = chunk.valueOffsets;
    const stored = plainValues(chunk.children[0]!);
    if (stored === undefined) return;
    const [from, to] = [offsets[0] ?? 0, offsets[chunk.length] ?? 0];
    if (!(to <= stored.length))
      throw new Error(`a column's lists claim ${to} values, but only ${stored.length} are stored`);
    const before = starts[row]!;
    for (let i = 1; i <= chunk.length; i++) {
      if (!(offsets[i]! >= offsets[i - 1]!)) throw new Error(`a column's list has a negative length in row ${row + i}`);
      starts[row + i] = before + offsets[i]! - from;
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

function plainValues({ type, values, length }: Data): Float32Array | Uint8Array | undefined {
  if (values instanceof Float32Array) return values;
  if (!DataType.isBool(type) || !(values instanceof Uint8Array) || values.length * 8 < length) return undefined;
  return Uint8Array.from({ length }, (_, i) => (values[i >> 3]! >> (i & 7)) & 1);
}
