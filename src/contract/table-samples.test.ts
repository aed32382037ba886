// Reads the tables that companion/tests/makers/table_samples.py writes. The companion's reader must treat each of them in
// the same way (companion/tests/calibration/test_reader.py), so that it never serves a file that the page cannot read.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCalibrationFile } from './calibration-file';
import type { CalibrationTable } from './calibration-table';

interface Row {
  readonly id: string;
  readonly correct: number | null;
  readonly tokens: readonly string[];
  readonly entropySum: readonly (number | null)[];
  readonly logProbs: readonly number[];
}

type Expected = { readonly rows: number; readonly repeats: number } | { readonly refused: string };

const folder = join(import.meta.dirname, 'fixtures/tables');
const index: { readonly rows: readonly Row[]; readonly samples: Readonly<Record<string, Expected>> } = JSON.parse(
  readFileSync(join(folder, 'samples.json'), 'utf8'),
);

const read = (name: string) => readCalibrationFile(name, new Uint8Array(readFileSync(join(folder, name))).buffer);

function rowsOf(table: CalibrationTable): Row[] {
  const known = (value: number) => (Number.isNaN(value) ? null : value);
  return Array.from({ length: table.rows }, (_, row) => {
    const tokens = (column: Float32Array) => Array.from(column.slice(table.starts[row], table.starts[row + 1]), known);
    return {
      id: table.id.at(row)!,
      correct: known(table.correct[row]!),
      tokens: table.tokensAt(row),
      entropySum: tokens(table.entropies.sum!),
      logProbs: tokens(table.logProbs!) as number[],
    };
  });
}

describe.each(Object.entries(index.samples))('%s', (name, expected) => {
  if ('refused' in expected)
    it('is refused with a reason', async () => {
      await expect(read(name)).rejects.toThrow('is not a valid calibration file');
      await expect(read(name)).rejects.toThrow(expected.refused);
    });
  else
    it('is read to the same rows', async () => {
      const rows = index.rows.slice(0, expected.rows);
      const table = await read(name);
      expect(rowsOf(table)).toEqual(Array.from({ length: expected.repeats }, () => rows).flat());
      expect(table.notes).toEqual([]);
    });
});
