import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCalibrationFile } from './calibration-file';
import type { CalibrationTable } from './calibration-table';

const bytesOf = (name: string): ArrayBuffer => {
  const file = readFileSync(join(import.meta.dirname, 'fixtures', name));
  return new Uint8Array(file).buffer;
};
const read = (name: string) => readCalibrationFile(name, bytesOf(name));
const csv = (text: string) => readCalibrationFile('table.csv', new TextEncoder().encode(text).buffer);

/** A table's complete content, row by row. */
function contentOf(table: CalibrationTable) {
  const tokens = <T>(column: ArrayLike<T> | undefined, row: number) =>
    column === undefined ? undefined : Array.from(column).slice(table.starts[row]!, table.starts[row + 1]!);
  return Array.from({ length: table.rows }, (_, row) => ({
    id: table.id.at(row),
    correct: table.correct[row],
    length: table.length[row],
    question: table.question.at(row),
    answer: table.answer.at(row),
    reference: table.reference.at(row),
    tokens: table.tokensAt(row),
    isContent: tokens(table.isContent, row),
    logProbs: tokens(table.logProbs, row),
    sum: tokens(table.entropies.sum, row),
    kde: tokens(table.entropies.kde, row),
    bernoulli: tokens(table.entropies.bernoulli, row),
  }));
}

describe('reading a calibration file', () => {
  it('reads Arrow', async () => {
    const table = await read('calibration.arrow');
    expect(table.facts).toMatchObject({ model: { name: 'made-up', sameAs: ['2233'] }, n: 40, patches: 16 });
    expect(table.facts!.images).toEqual({ file: 'images.bin', index: 'images.json' });
    expect(table.rows).toBe(40);
    expect(table.isPooled).toBe(false);
    // In the order of the metadata, not of the rows.
    expect(table.set.names).toEqual(['gqa-like', 'vqa-like']);
    expect([...table.set.codes.slice(0, 4)]).toEqual([0, 1, 1, 0]);
    expect(table.kind.names).toEqual(['attribute', 'count']);
    expect(table.correct[7]).toBeNaN();
    expect([table.image.at(5), table.image.at(6)]).toEqual([undefined, 'images/6.webp']);
    expect([table.thumbnail[5], table.thumbnail[6]]).toEqual([-1, 6]);
    expect(contentOf(table)[0]).toMatchObject({
      id: 'q0',
      answer: 'The cube is red.',
      tokens: ['The', ' cube', ' is', ' red', '.'],
      isContent: [0, 1, 0, 1, 0],
      reference: 'red — or not',
    });
    expect(contentOf(table)[3]).toMatchObject({ length: 0, tokens: [], sum: [] });
    // The first batch has 24 rows, the second 16: no row is lost between them.
    expect(contentOf(table)[24]).toMatchObject({ id: 'q24', length: 5, tokens: ['The', ' cube', ' is', ' red', '.'] });
    for (const entropy of table.entropies.sum!) expect(entropy).toBeLessThanOrEqual(Math.log(16) + 1e-6);
  });

  it('reads the same from Parquet', async () => {
    const [arrow, parquet] = [await read('calibration.arrow'), await read('calibration.parquet')];
    expect(contentOf(parquet)).toEqual(contentOf(arrow));
    expect(parquet.facts).toEqual(arrow.facts);
    for (const column of ['set', 'kind', 'variety', 'thumbnail'] as const)
      expect(parquet[column]).toEqual(arrow[column]);
  });

  it('reads an evaluation table, one row per token', async () => {
    const [arrow, evaluation] = [await read('calibration.arrow'), await read('evaluation.parquet')];
    expect(contentOf(evaluation)).toEqual(contentOf(arrow));
    expect(evaluation.facts).toMatchObject({
      model: { name: 'made-up', revision: '0011' },
      head: { name: 'fastrm', revision: '4455' },
      data: { sets: ['vqav2'] },
      n: 40,
      patches: 16,
    });
  });

  it('reads a CSV of entropy and correctness', async () => {
    const table = await csv(
      '﻿entropy,correct,id,kind\n4.25,1,a,colour\n 3.5 ,no,b,"count, of"\nnan,0.5,c,\n\n,true,d,colour\n',
    );
    expect([...table.entropies.given!]).toEqual([4.25, 3.5, Number.NaN, Number.NaN]);
    expect([...table.correct]).toEqual([1, 0, 0.5, 1]);
    expect(table.isPooled).toBe(true);
    expect(table.facts).toBeUndefined();
    expect(table.kind.names).toEqual(['colour', 'count, of', '']);
    expect(table.id.at(3)).toBe('d');
  });

  it('reads a CSV separated by semicolons or tabs, with named entropies', async () => {
    const table = await csv('correct;entropySum;logProb;length\n1;4.5;-0.5;7\n0;4.75;-1;3\n');
    expect([...table.entropies.sum!]).toEqual([4.5, 4.75]);
    expect([...table.logProbs!]).toEqual([-0.5, -1]);
    expect([...table.length]).toEqual([7, 3]);
    expect((await csv('correct\tentropy\n1\t4.5\n')).rows).toBe(1);
  });
});

describe('rejecting an invalid file with a reason', () => {
  it.each([
    ['name,age\nAda,36\n', 'it needs the columns correct and entropy'],
    ['name,age\nAda,36\n', 'its columns are name, age'],
    ['entropy,correct\n4.5,1\nhigh,0\n', 'column entropy must hold numbers, but line 3 has "high"'],
    ['entropy,correct\n4.5,7\n', 'column correct must hold values from 0 to 1, but line 2 has 7'],
    ['', 'it is empty'],
    ['\u0000\u0001binary', 'it is neither text nor a known kind of table'],
  ])('%j', async (text, reason) => {
    await expect(csv(text)).rejects.toThrow(reason);
    await expect(csv(text)).rejects.toThrow(/^table\.csv \(.*\) is not a valid calibration file: /);
  });

  it('rejects a run file', async () => {
    await expect(read('random-weights.run')).rejects.toThrow('it is a run file (one answer with its maps)');
  });

  it.each([
    ...['calibration.arrow', 'calibration.parquet', 'evaluation.parquet'],
    ...['lz4.arrows', 'zstd.arrows'].map((name) => `tables/${name}`),
  ])(
    'rejects %s if it is truncated or damaged',
    async (name) => {
      const whole = new Uint8Array(bytesOf(name));
      // Without its end marker alone, a stream still has all its rows.
      for (const share of [0.1, 0.5, 0.9, name.endsWith('.arrows') ? 0.99 : 0.999])
        await expect(readCalibrationFile(name, whole.slice(0, whole.length * share).buffer)).rejects.toThrow(
          'is not a valid calibration file',
        );
      // Whichever bit is flipped, the file is read or rejected; reading never hangs or throws any other error.
      for (let round = 0; round < 300; round++) {
        const damaged = whole.slice();
        damaged[(round * 7919) % damaged.length]! ^= 1 << (round % 8);
        const result = await readCalibrationFile(name, damaged.buffer).catch((error: unknown) => error);
        if (result instanceof Error) expect(result.message).toContain('is not a valid calibration file');
      }
    },
    60_000,
  );
});
