// Reads a file of any accepted kind into a table whose columns are not yet interpreted.
import type { CsvColumns } from './csv-table';
import { checkText, kindOf } from './file-kind';
import type { RawTable } from './raw-table';
import { decodeText } from './text-encoding';

/** Unpacked, a compressed file may take up at most this much. */
const maxUnpackedBytes = 2 ** 30;

/** Rejects if the file is of no accepted kind or is damaged; the error says what it is and what to do. */
export async function readRawTable(file: ArrayBuffer, columns: CsvColumns): Promise<RawTable> {
  const bytes = new Uint8Array(file);
  const kind = kindOf(bytes);
  switch (kind) {
    case 'gzip':
      return readRawTable(await gunzipped(bytes), columns);
    case 'parquet': {
      const { readParquetTable } = await import('./parquet-table');
      return readParquetTable(file, columns.knownColumns);
    }
    case 'text':
      return readText(bytes, columns);
    default: {
      const { readArrowTable } = await import('./arrow-table');
      return readArrowTable(bytes, kind);
    }
  }
}

async function readText(bytes: Uint8Array, columns: CsvColumns): Promise<RawTable> {
  const { text, encoding, isAssumed } = decodeText(bytes);
  checkText(text);
  const { readCsvTable } = await import('./csv-table');
  const table = readCsvTable(text, columns);
  if (!isAssumed) return table;
  const note = `Its text is not UTF-8 and was read as ${encoding}. If letters look wrong, save the table as UTF-8.`;
  return { ...table, notes: [note, ...table.notes] };
}

async function gunzipped(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  try {
    for (const reader = stream.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > maxUnpackedBytes) {
        await reader.cancel();
        break;
      }
      parts.push(value);
    }
  } catch (error) {
    throw new Error('its gzip data is damaged or incomplete. Copy or download it again', { cause: error });
  }
  if (size > maxUnpackedBytes)
    throw new Error('unpacked, it is larger than 1 GB. Unpack it, and save the table as Parquet');
  return new Blob(parts).arrayBuffer();
}
