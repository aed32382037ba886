import type { Compressors, FileMetaData, SchemaTree } from 'hyparquet';
import { reasonOf } from '../text/reason-of';
import { categoriesOf, countedRow, isArrayLike, listsOf, numberOf, type RawTable, textOf } from './raw-table';

/** Reads the columns of the file that are in `knownColumns`. */
export async function readParquetTable(file: ArrayBuffer, knownColumns: ReadonlySet<string>): Promise<RawTable> {
  checkEnd(new Uint8Array(file));
  const [{ parquetMetadata, parquetRead, parquetSchema }, { checkPages }] = await Promise.all([
    import('hyparquet'),
    import('./parquet-pages'),
  ]);
  // Looking for geometries, hyparquet would never end if a group claimed fewer than no children.
  const metadata = decoded(() => parquetMetadata(file, { geoparquet: false }));
  const rows = Number(metadata.num_rows);
  const schema = decoded(() => parquetSchema(metadata));
  const { children } = schema;
  const nodes = new Map(children.map((node) => [node.element.name, node]));
  const names = [...nodes.keys()].filter((name) => knownColumns.has(name));
  const columns = new Map<string, unknown[]>(names.map((name) => [name, []]));
  if (names.length > 0 && rows > 0) {
    const compressors = await compressorsFor(metadata);
    decoded(() => checkPages(file, { metadata, schema, compressors, columns: names }));
    await parquetRead({
      file,
      metadata,
      compressors,
      columns: names,
      onChunk({ columnName, columnData, rowStart }) {
        const column = columns.get(columnName);
        for (let i = 0; column !== undefined && i < columnData.length; i++) column[rowStart + i] = columnData[i];
      },
    }).catch(refuseDamaged);
  }
  for (const [name, column] of columns) {
    if (column.length !== rows)
      throw new Error(`the Parquet data is damaged: column ${name} has ${column.length} values for ${rows} rows`);
    // A missing value is null; undefined is a value that the file refers to but does not have.
    const row = column.findIndex((cell) => cell === undefined || (Array.isArray(cell) && cell.includes(undefined)));
    if (row >= 0) throw new Error(`the Parquet data is damaged: column ${name} lacks a value in ${countedRow(row)}`);
  }
  const ensureColumn = (name: string): unknown[] => {
    const column = columns.get(name);
    if (column === undefined) throw new Error(`it has no column ${name}`);
    return column;
  };
  const ensureNumbers = (name: string): unknown[] => {
    const node = nodes.get(name);
    if (node) ensureNumeric(node, name);
    return ensureColumn(name);
  };
  return {
    format: 'Parquet',
    rows,
    names: children.map((node) => node.element.name),
    metadata: new Map(metadata.key_value_metadata?.map(({ key, value }) => [key, value ?? ''])),
    notes: [],
    place: countedRow,
    isList: (name) =>
      (nodes.get(name)?.children.length ?? 0) > 0 || nodes.get(name)?.element.repetition_type === 'REPEATED',
    numbers: (name, kind) => Float64Array.from(ensureNumbers(name), (cell, row) => numberOf(cell, name, row, kind)),
    texts(name) {
      const column = ensureColumn(name);
      return { at: (row) => textOf(column[row]) };
    },
    categories(name) {
      const column = ensureColumn(name);
      return categoriesOf(rows, (row) => textOf(column[row]), name);
    },
    lists(name, kind) {
      const column = ensureNumbers(name);
      return listsOf(rows, (row) => column[row], name, kind);
    },
    textLists(name) {
      const column = ensureColumn(name);
      return (row) => {
        const cells = column[row];
        return isArrayLike(cells) ? Array.from(cells, (cell) => textOf(cell) ?? '') : [];
      };
    },
  };
}

function checkEnd(bytes: Uint8Array): void {
  const end = new TextDecoder('latin1').decode(bytes.subarray(-4));
  if (bytes.length < 12 || end !== 'PAR1')
    throw new Error('the Parquet file is incomplete: its end is missing. Copy, download or write it again');
}

/** hyparquet itself reads uncompressed columns and Snappy. */
async function compressorsFor({ row_groups: groups }: FileMetaData): Promise<Compressors> {
  const columns = groups.flatMap((group) => group.columns);
  if (columns.some((column) => column.crypto_metadata !== undefined))
    throw new Error('it is an encrypted Parquet file. Save the table without encryption');
  const codecs = columns.map((column) => column.meta_data?.codec);
  if (codecs.includes('LZO'))
    throw new Error('it is compressed with LZO. Save the table with Snappy, Zstandard or no compression');
  if (codecs.every((codec) => codec === undefined || codec === 'UNCOMPRESSED' || codec === 'SNAPPY')) return {};
  const codec = await import('hyparquet-compressors');
  return {
    GZIP: codec.decompressGzip,
    BROTLI: codec.decompressBrotli,
    ZSTD: (bytes) => codec.decompressZstd(bytes),
    LZ4: codec.decompressLz4,
    LZ4_RAW: codec.decompressLz4Raw,
  };
}

const temporal = new Set(['DATE', 'TIME', 'TIMESTAMP', 'TIME_MILLIS', 'TIME_MICROS', 'TIMESTAMP_MILLIS']);
const otherKinds = new Set(['MAP', 'MAP_KEY_VALUE', 'UUID', 'INTERVAL', 'VARIANT', 'GEOMETRY', 'GEOGRAPHY', 'BSON']);

/** Throws if cells of this type cannot be numbers, although they may be stored as numbers. */
function ensureNumeric(node: SchemaTree, name: string): void {
  const { type, logical_type: logical, converted_type: converted } = node.element;
  const kind = type === 'INT96' ? 'TIMESTAMP' : (logical?.type ?? converted);
  if (kind !== undefined && (temporal.has(kind) || kind === 'TIMESTAMP_MICROS' || otherKinds.has(kind)))
    throw new Error(`column ${name} must hold numbers, but it has the type ${kind}`);
  for (const child of node.children) ensureNumeric(child, name);
}

function decoded<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    return refuseDamaged(error);
  }
}

function refuseDamaged(error: unknown): never {
  throw new Error(
    `the Parquet data is damaged, incomplete or encrypted (${reasonOf(error)}). Copy, download or write it again`,
    { cause: error },
  );
}
