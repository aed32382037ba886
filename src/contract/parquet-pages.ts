// Checks the pages of Parquet columns before hyparquet reads them. hyparquet trusts every count: one flipped bit makes it
// write a value two billion times, or read the same page for ever.
import type { ColumnMetaData, Compressors, FileMetaData, PageHeader, SchemaTree } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { decompressPage } from 'hyparquet/src/datapage.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel, getTreePath } from 'hyparquet/src/schema.js';
import { readVarInt } from 'hyparquet/src/thrift.js';

interface PagesOptions {
  readonly metadata: FileMetaData;
  readonly schema: SchemaTree;
  readonly compressors: Compressors;
  /** Only these columns are checked. */
  readonly columns: readonly string[];
}

/** Values of one column, missing ones included. A run of missing values takes few bytes, so the file's size is no limit. */
const maxValues = 2 ** 28;

/** Throws if a count in the pages contradicts another, or the bytes that there are. */
export function checkPages(file: ArrayBuffer, { metadata, schema, compressors, columns }: PagesOptions): void {
  // hyparquet does not open groups without rows.
  for (const group of metadata.row_groups.filter(({ num_rows: rows }) => rows > 0n)) {
    for (const { meta_data: column } of group.columns) {
      const name = column?.path_in_schema[0];
      if (column === undefined || name === undefined || !columns.includes(name)) continue;
      try {
        checkColumn(file, column, levelsOf(getTreePath(schema, column.path_in_schema)), compressors);
      } catch (error) {
        throw new Error(`column ${name}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
  }
}

interface Levels {
  /** Widths in bits; 0 if there are no levels. */
  readonly repetition: number;
  readonly definition: number;
}

function levelsOf(path: SchemaTree[]): Levels {
  return {
    repetition: widthOf(path.length > 1 ? getMaxRepetitionLevel(path) : 0),
    definition: widthOf(getMaxDefinitionLevel(path)),
  };
}

const widthOf = (max: number) => 32 - Math.clz32(max);

function checkColumn(file: ArrayBuffer, column: ColumnMetaData, levels: Levels, compressors: Compressors): void {
  const { data_page_offset: data, dictionary_page_offset: dictionary } = column;
  const start = Number(dictionary && dictionary < data ? dictionary : data);
  const length = Number(column.total_compressed_size);
  if (!(start >= 0 && length >= 0 && start + length <= file.byteLength))
    throw new Error('its pages are outside the file');
  const reader = { view: new DataView(file, start, length), offset: 0 };
  let unpacked = Number(column.total_uncompressed_size);
  let values = 0;
  while (reader.offset < length) {
    const header = parquetHeader(reader);
    const { compressed_page_size: size, uncompressed_page_size: unpackedSize } = header;
    if (!(size >= 0 && reader.offset + size <= length)) throw new Error(`a page claims ${size} bytes`);
    if (!(unpackedSize >= 0 && unpackedSize <= unpacked))
      throw new Error(`a page claims ${unpackedSize} unpacked bytes`);
    unpacked -= unpackedSize;
    const page = new Uint8Array(file, start + reader.offset, size);
    reader.offset += size;
    const { num_values: count = 0 } = header.data_page_header ?? header.data_page_header_v2 ?? {};
    values += count;
    if (!(count >= 0 && values <= maxValues)) throw new Error(`a page claims ${count} values`);
    if (header.type === 'DATA_PAGE') checkPage(page, header, column, levels, compressors);
    if (header.type === 'DATA_PAGE_V2') checkPageV2(page, header, column, levels, compressors);
  }
  if (values !== Number(column.num_values))
    throw new Error(`its pages have ${values} values, but its metadata claims ${column.num_values}`);
}

function checkPage(
  bytes: Uint8Array,
  header: PageHeader,
  { codec, type }: ColumnMetaData,
  levels: Levels,
  compressors: Compressors,
): void {
  const { num_values: count, encoding, ...page } = header.data_page_header!;
  const runs = createRuns(decompressPage(bytes, header.uncompressed_page_size, codec, compressors));
  for (const [width, levelEncoding] of [
    [levels.repetition, page.repetition_level_encoding],
    [levels.definition, page.definition_level_encoding],
  ] as const) {
    if (width === 0) continue;
    if (levelEncoding !== 'RLE') throw new Error(`levels in the encoding ${levelEncoding} cannot be read`);
    runs.check(width, { count, isExact: true }, runs.length());
  }
  // Missing values have no index, so there may be fewer.
  checkIndices(runs, encoding, type, { count, isExact: levels.definition === 0 });
}

function checkPageV2(
  bytes: Uint8Array,
  header: PageHeader,
  { codec, type }: ColumnMetaData,
  levels: Levels,
  compressors: Compressors,
): void {
  const page = header.data_page_header_v2!;
  const { num_values: count, num_nulls: nulls, num_rows: rows } = page;
  const [repetitions, definitions] = [page.repetition_levels_byte_length, page.definition_levels_byte_length];
  if (!(nulls >= 0 && nulls <= count && rows >= 0 && rows <= count))
    throw new Error(`a page claims ${nulls} missing values and ${rows} rows of ${count} values`);
  if (!(repetitions >= 0 && definitions >= 0 && repetitions + definitions <= bytes.length))
    throw new Error('a page claims more levels than it has bytes');
  const runs = createRuns(bytes);
  const exact = { count, isExact: true };
  if (levels.repetition > 0) runs.check(levels.repetition, exact, repetitions);
  if (levels.definition > 0) runs.check(levels.definition, exact, definitions);
  const size = header.uncompressed_page_size - repetitions - definitions;
  const packed = bytes.subarray(repetitions + definitions);
  const isPacked = page.is_compressed !== false && size !== 0;
  const values = isPacked ? decompressPage(packed, size, codec, compressors) : packed;
  checkIndices(createRuns(values), page.encoding, type, { count: count - nulls, isExact: true });
}

type Runs = ReturnType<typeof createRuns>;

interface RunCount {
  readonly count: number;
  /** Otherwise, `count` is the most that there may be. */
  readonly isExact: boolean;
}

/** Values that are stored as indices or truths are runs too. */
function checkIndices(runs: Runs, encoding: string, type: string, count: RunCount): void {
  if (count.count === 0) return;
  if (encoding === 'PLAIN_DICTIONARY' || encoding === 'RLE_DICTIONARY') {
    const width = runs.byte();
    runs.check(width, width === 0 ? { ...count, isExact: false } : count, runs.left());
  } else if (encoding === 'RLE' && type === 'BOOLEAN') runs.check(1, count, runs.length());
}

/** Reads Parquet's hybrid of runs and packed bits, without the values. */
function createRuns(bytes: Uint8Array) {
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  const left = () => bytes.length - reader.offset;
  return {
    left,
    byte: () => reader.view.getUint8(reader.offset++),
    /** The length that precedes runs. */
    length(): number {
      const length = reader.view.getUint32(reader.offset, true);
      reader.offset += 4;
      return length;
    },
    /** Throws if the runs in the next `length` bytes do not hold as many values of `width` bits. */
    check(width: number, { count, isExact }: RunCount, length: number): void {
      if (length > left() || width > 32) throw new Error(`runs of ${width} bits claim ${length} bytes`);
      const end = reader.offset + length;
      let values = 0;
      while (values < count && reader.offset < end) {
        const run = readVarInt(reader) >>> 0;
        const isPacked = (run & 1) === 1;
        values += isPacked ? (run >>> 1) * 8 : run >>> 1;
        reader.offset += isPacked ? (run >>> 1) * width : (width + 7) >> 3;
        // Packed bits come in groups of eight.
        if (values > count + (isPacked ? 7 : 0)) throw new Error(`a run ends at ${values} of ${count} values`);
      }
      if (isExact && values < count) throw new Error(`its runs end at ${values} of ${count} values`);
      reader.offset = end;
    },
  };
}
