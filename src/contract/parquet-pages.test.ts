import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCalibrationFile } from './calibration-file';
import { createDice } from './damages.example';

const folder = join(import.meta.dirname, 'fixtures/tables');

/**
 * All pages of both versions, with and without lists, dictionaries, nulls and compression. Zstandard is left out: its
 * decoder itself may not end on damaged data, so that the page lets the user stop reading.
 */
const files = [
  ...['none-pages-1', 'none-pages-2', 'brotli-pages-2', 'gzip-pages-2', 'lz4-pages-1'],
  ...['list-float32', 'id-dictionary', 'no-dictionaries', 'score-bool'],
].map((name) => `${name}.parquet`);

describe.each(files)('%s', (name) => {
  const whole = new Uint8Array(readFileSync(join(folder, name)));

  // hyparquet alone writes values without end for about one in a hundred of these.
  it('is read or refused in bounded time, whichever bytes are damaged', async () => {
    const roll = createDice(7);
    for (let round = 0; round < 400; round++) {
      const damaged = whole.slice();
      const at = roll(damaged.length);
      if (round % 2 === 0) damaged[at]! ^= 1 << roll(8);
      else damaged.fill([0, 127, 128, 255][roll(4)]!, at, at + 1 + roll(4));
      const result = await readCalibrationFile(name, damaged.buffer).catch((error: unknown) => error);
      if (result instanceof Error) expect(result.message).toContain('is not a valid calibration file');
    }
  }, 60_000);
});
