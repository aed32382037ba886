// Checks the pages of Parquet columns before hyparquet reads them. hyparquet trusts every count: one flipped bit makes it
// write a value two billion times, or read the same page for ever.
import type { ColumnMetaData, Compressors, DataReader, FileMetaData, PageHeader, SchemaTree } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { decompressPage } from 'hyparquet/src/datapage.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel, getTreePath } from 'hyparquet/src/schema.js';
import { reasonOf } from '../text/reason-of';
import {
  checkDeltas,
  checkPrefixes,
  checkRuns,
  countPresent,
  maxValues,
  readerOf,
  readLength,
  widthOf,
} from './parquet-runs';

interface PagesOptions {
  readonly metadata: FileMetaData;
  readonly schema: SchemaTree;
  readonly compressors: Compressors;
  /** Only these columns are checked. */
  readonly columns: readonly string[];
}

/** Throws if a count in the pages contradicts another, or the bytes that there are. */
export function checkPages(file: ArrayBuffer, { metadata, schema, compressors, columns }: PagesOptions): void {
  // hyparquet does not open groups without rows.
  for (const group of metadata.row_groups.filter(({ num_rows: rows }) => rows > 0n)) {
    for (const { meta_data: column } of group.columns) {
      const name = column?.path_in_schema[0];
      if (column === undefined || name === undefined || !columns.includes(name)) continue;
      const path = getTreePath(schema, column.path_in_schema);
      const levels = { repetition: getMaxRepetitionLevel(path), definition: getMaxDefinitionLevel(path) };
      try {
        checkColumn(file, { column, levels, compressors });
      } catch (error) {
        throw new Error(`column ${name}: ${reasonOf(error)}`, { cause: error });
      }
    }
  }
}

interface ColumnOptions {
  readonly column: ColumnMetaData;
  /** The highest that there are; 0 if none are stored. */
  readonly levels: { readonly repetition: number; readonly definition: number };
  readonly compressors: Compressors;
}

function checkColumn(file: ArrayBuffer, options: ColumnOptions): void {
  const { column } = options;
  const start = Number(column.dictionary_page_offset || column.data_page_offset);
  const length = Number(column.total_compressed_size);
  if (!(start >= 0 && length >= 0 && start + length <= file.byteLength))
    throw new Error('its pages are outside the file');
  const reader = { view: new DataView(file, start, length), offset: 0 };
  let unpacked = Number(column.total_uncompressed_size);
  let values = 0;
  let hasDictionary = false;
  // hyparquet ignores a last byte too.
  while (reader.offset < length - 1) {
    const header = parquetHeader(reader);
    const { compressed_page_size: size, uncompressed_page_size: unpackedSize } = header;
    if (!(size >= 0 && reader.offset + size <= length)) throw new Error(`a page claims ${size} bytes`);
    if (!(unpackedSize >= 0 && unpackedSize <= unpacked))
      throw new Error(`a page claims ${unpackedSize} unpacked bytes`);
    unpacked -= unpackedSize;
    const page = new Uint8Array(file, start + reader.offset, size);
    reader.offset += size;
    hasDictionary ||= header.type === 'DICTIONARY_PAGE';
    const data = header.type === 'DATA_PAGE' ? header.data_page_header : header.data_page_header_v2;
    if (header.type === 'DICTIONARY_PAGE' || data === undefined) continue;
    const { num_values: count, encoding }: { num_values: number; encoding?: string } = data;
    values += count;
    if (!(count >= 0 && values <= maxValues)) throw new Error(`a page claims ${count} values`);
    if (encoding === undefined) throw new Error('a page has an unknown encoding');
    // Without a dictionary, hyparquet returns the indices as values.
    if (encoding.endsWith('_DICTIONARY') && !hasDictionary) throw new Error('its dictionary is missing');
    if (header.type === 'DATA_PAGE') checkPage(page, header, options);
    else checkPageV2(page, header, options);
  }
  if (values !== Number(column.num_values))
    throw new Error(`its pages have ${values} values, but its metadata claims ${column.num_values}`);
}

function checkPage(bytes: Uint8Array, header: PageHeader, { column, levels, compressors }: ColumnOptions): void {
  const { num_values: count, encoding, ...page } = header.data_page_header!;
  const reader = readerOf(decompressPage(bytes, header.uncompressed_page_size, column.codec, compressors));
  let present = count;
  if (levels.repetition > 0) {
    ensureRuns(page.repetition_level_encoding);
    checkRuns(reader, readLength(reader), { width: widthOf(levels.repetition), count });
  }
  if (levels.definition > 0) {
    ensureRuns(page.definition_level_encoding);
    present = countPresent(reader, readLength(reader), { max: levels.definition, count });
  }
  checkValues(reader, encoding, { type: column.type, count: present });
}

function ensureRuns(encoding: string): void {
  if (encoding !== 'RLE') throw new Error(`levels in the encoding ${encoding} cannot be read`);
}

function checkPageV2(bytes: Uint8Array, header: PageHeader, { column, levels, compressors }: ColumnOptions): void {
  const page = header.data_page_header_v2!;
  const { num_values: count, num_nulls: nulls, num_rows: rows } = page;
  const [repetitions, definitions] = [page.repetition_levels_byte_length, page.definition_levels_byte_length];
  if (!(nulls >= 0 && nulls <= count && rows >= 0 && rows <= count))
    throw new Error(`a page claims ${nulls} missing values and ${rows} rows of ${count} values`);
  if (!(repetitions >= 0 && definitions >= 0 && repetitions + definitions <= bytes.length))
    throw new Error('a page claims more levels than it has bytes');
  const reader = readerOf(bytes);
  if (levels.repetition > 0) checkRuns(reader, repetitions, { width: widthOf(levels.repetition), count });
  if (levels.definition > 0) checkRuns(reader, definitions, { width: widthOf(levels.definition), count });
  const size = header.uncompressed_page_size - repetitions - definitions;
  const packed = bytes.subarray(repetitions + definitions);
  const isPacked = page.is_compressed !== false && size !== 0;
  const values = isPacked ? decompressPage(packed, size, column.codec, compressors) : packed;
  checkValues(readerOf(values), page.encoding, { type: column.type, count: count - nulls });
}

/** Checks the encodings whose counts hyparquet trusts; the others end with the bytes. */
function checkValues(reader: DataReader, encoding: string, { type, count }: { type: string; count: number }): void {
  if (count === 0) return;
  const isTruths = type === 'BOOLEAN';
  if (encoding === 'RLE' && isTruths) checkRuns(reader, readLength(reader), { width: 1, count });
  else if (encoding.endsWith('_DICTIONARY') && !isTruths) {
    const width = reader.view.getUint8(reader.offset++);
    const length = reader.view.byteLength - reader.offset;
    // Indices of no bits are all 0 and need no runs.
    if (width > 0 || length > 0) checkRuns(reader, length, { width, count });
  } else if (encoding === 'RLE' || encoding.endsWith('_DICTIONARY'))
    throw new Error(`a page claims the encoding ${encoding} for values of the type ${type}`);
  else if (encoding === 'DELTA_BYTE_ARRAY') checkPrefixes(reader, count);
  else if (encoding.startsWith('DELTA_')) checkDeltas(reader, count);
}
