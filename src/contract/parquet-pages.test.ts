import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ColumnMetaData, parquetMetadata, parquetSchema } from 'hyparquet';
import { describe, expect, it } from 'vitest';
import { readCalibrationFile } from './calibration-file';
import { createDice } from './damages.example';
import { checkPages } from './parquet-pages';

const bytesOf = (name: string) => new Uint8Array(readFileSync(join(import.meta.dirname, 'fixtures/tables', name)));

/** All pages of both versions, with and without lists, dictionaries, nulls and compression. */
const files = [
  ...['none-pages-1', 'none-pages-2', 'snappy-pages-2', 'gzip-pages-2', 'lz4-pages-1', 'zstd-pages-1'],
  ...['list-float32', 'id-dictionary', 'no-dictionaries', 'text-deltas', 'score-bool'],
].map((name) => `${name}.parquet`);

describe.each(files)('%s', (name) => {
  const whole = bytesOf(name);

  // hyparquet alone writes values without end, or reads for ever, for some of these.
  it('is read or refused in bounded time, whichever bytes are damaged', async () => {
    const roll = createDice(7);
    for (let round = 0; round < 200; round++) {
      const damaged = whole.slice();
      const at = roll(damaged.length);
      if (round % 2 === 0) damaged[at]! ^= 1 << roll(8);
      else damaged.fill([0, 127, 128, 255][roll(4)]!, at, at + 1 + roll(4));
      const result = await readCalibrationFile(name, damaged.buffer).catch((error: unknown) => error);
      if (result instanceof Error) expect(result.message).toContain('is not a valid calibration file');
    }
  });
});

it('refuses a group that claims fewer than no children', async () => {
  const damaged = bytesOf('zstd-pages-1.parquet');
  // In the schema, the name is followed by the count of children: 2 is 1, and 3 is -2.
  damaged[Buffer.from(damaged).indexOf('\x06tokens\x15\x02', 0, 'latin1') + 8] = 3;
  await expect(readCalibrationFile('damaged.parquet', damaged.buffer)).rejects.toThrow('not found: tokens');
});

describe('checkPages', () => {
  const check = (name: string, column: string, change: (data: ColumnMetaData) => Partial<ColumnMetaData>) => {
    const { buffer } = bytesOf(name);
    const metadata = parquetMetadata(buffer);
    for (const { meta_data: data } of metadata.row_groups[0]!.columns) if (data) Object.assign(data, change(data));
    checkPages(buffer, { metadata, schema: parquetSchema(metadata), compressors: {}, columns: [column] });
  };

  it('accepts counts that agree', () => {
    for (const name of ['none-pages-2', 'text-deltas'])
      for (const column of ['id', 'tokens']) expect(() => check(`${name}.parquet`, column, () => ({}))).not.toThrow();
  });

  it.each<[string, (data: ColumnMetaData) => Partial<ColumnMetaData>]>([
    ['its dictionary is missing', withoutDictionary],
    ['but its metadata claims 99', () => ({ num_values: 99n })],
    ['its pages are outside the file', () => ({ total_compressed_size: 10_000_000n })],
    ['unpacked bytes', () => ({ total_uncompressed_size: 8n })],
    ['a page claims the encoding RLE_DICTIONARY for values of the type BOOLEAN', () => ({ type: 'BOOLEAN' })],
  ])('refuses a column: %s', (reason, change) => {
    expect(() => check('none-pages-2.parquet', 'id', change)).toThrow(reason);
  });
});

/** Starts at the first page with data. */
function withoutDictionary(data: ColumnMetaData): Partial<ColumnMetaData> {
  const dictionary = data.data_page_offset - data.dictionary_page_offset!;
  return { dictionary_page_offset: 0n, total_compressed_size: data.total_compressed_size - dictionary };
}
