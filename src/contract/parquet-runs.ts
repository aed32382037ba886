// Checks Parquet's compact encodings without decoding them: the hybrid of runs and packed bits, and the differences.
import type { DataReader } from 'hyparquet';
import { deltaBinaryUnpack } from 'hyparquet/src/delta.js';
import { readRleBitPackedHybrid } from 'hyparquet/src/encoding.js';
import { readVarInt } from 'hyparquet/src/thrift.js';

/** Values of one column, and bytes of one page's texts. Runs take few bytes, so the file's size is no limit. */
export const maxValues = 2 ** 28;

/** Packed bits are filled up: by up to 7 values in most files, by up to 31 in DuckDB's. */
const maxPadding = 255;

export const readerOf = (bytes: Uint8Array): DataReader => ({
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  offset: 0,
});

const bytesLeft = ({ view, offset }: DataReader) => view.byteLength - offset;

export const widthOf = (max: number) => 32 - Math.clz32(max);

export function readLength(reader: DataReader): number {
  const length = reader.view.getUint32(reader.offset, true);
  reader.offset += 4;
  return length;
}

/** Moves past the next `length` bytes. Throws if their runs do not hold `count` values of `width` bits. */
export function checkRuns(
  reader: DataReader,
  length: number,
  { width, count }: { width: number; count: number },
): void {
  if (length > bytesLeft(reader) || width > 32) throw new Error(`runs of ${width} bits claim ${length} bytes`);
  const end = reader.offset + length;
  let values = 0;
  while (values < count && reader.offset < end) {
    const run = readVarInt(reader) >>> 0;
    const isPacked = (run & 1) === 1;
    values += isPacked ? (run >>> 1) * 8 : run >>> 1;
    reader.offset += isPacked ? (run >>> 1) * width : (width + 7) >> 3;
    if (values > count + (isPacked ? maxPadding : 0)) throw new Error(`a run ends at ${values} of ${count} values`);
  }
  if (values < count) throw new Error(`its runs end at ${values} of ${count} values`);
  reader.offset = end;
}

/** Like `checkRuns`, for levels. Returns how many are `max`: values that are not missing. */
export function countPresent(
  reader: DataReader,
  length: number,
  { max, count }: { max: number; count: number },
): number {
  const start = reader.offset;
  checkRuns(reader, length, { width: widthOf(max), count });
  const levels = new Uint8Array(count);
  readRleBitPackedHybrid({ view: reader.view, offset: start }, widthOf(max), levels, length);
  return levels.reduce((present, level) => present + Number(level === max), 0);
}

/** Throws if the header of differences, which is next, would have blocks of no values read without end. */
export function checkDeltas(reader: DataReader, count: number): void {
  const { view, offset } = reader;
  const header = { view, offset };
  const block = readVarInt(header);
  const parts = readVarInt(header);
  const claimed = readVarInt(header);
  if (!(block > 0 && parts > 0 && parts <= view.byteLength && block % parts === 0))
    throw new Error(`a page claims blocks of ${block} values in ${parts} parts`);
  if (claimed !== count) throw new Error(`a page claims ${claimed} differences for ${count} values`);
}

/** Throws if a text, which starts like the one before it, claims more of it than there is. */
export function checkPrefixes(reader: DataReader, count: number): void {
  const readLengths = () => {
    checkDeltas(reader, count);
    const lengths = new Int32Array(count);
    deltaBinaryUnpack(reader, count, lengths);
    return lengths;
  };
  const prefixes = readLengths();
  const rests = readLengths();
  let length = 0;
  let total = 0;
  prefixes.forEach((prefix, i) => {
    const rest = rests[i]!;
    if (!(prefix >= 0 && prefix <= length && rest >= 0 && rest <= bytesLeft(reader)))
      throw new Error(`a text claims ${prefix} characters of the one before and ${rest} of its own`);
    length = prefix + rest;
    total += length;
    reader.offset += rest;
  });
  if (total > maxValues) throw new Error(`a page claims texts of ${total} bytes`);
}
