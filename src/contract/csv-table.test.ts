import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCalibrationFile } from './calibration-file';
import { csvText, encoders, lineEnds } from './csv-text.example';

const read = (bytes: Uint8Array<ArrayBuffer>) => readCalibrationFile('table.csv', bytes.slice().buffer);
const readText = (text: string) => read(new TextEncoder().encode(text));

interface Row {
  readonly entropy: number;
  readonly correct: number;
  readonly logProb: number;
  readonly question: string;
}

const row: fc.Arbitrary<Row> = fc.record({
  entropy: fc.oneof(fc.float({ min: 0, max: 12, noNaN: true }), fc.constant(Number.NaN)),
  correct: fc.constantFrom(0, 1, 0.5, Number.NaN),
  logProb: fc.oneof(fc.float({ min: -80, max: 0, noNaN: true }), fc.constantFrom(Number.NaN, Number.NEGATIVE_INFINITY)),
  question: fc
    .string({ unit: fc.constantFrom('a', 'B', 'é', '–', '€', ',', ';', '\t', '|', '"', '\n', '0', ' '), maxLength: 12 })
    .map((text) => text.trim()),
});

/** Missing values, infinities and truths as different programs write them. */
const programs = {
  pandas: { missing: '', infinite: '-inf', truths: ['False', 'True'] },
  R: { missing: 'NA', infinite: '-Inf', truths: ['FALSE', 'TRUE'] },
  Excel: { missing: '', infinite: '-Infinity', truths: ['FALSCH', 'WAHR'] },
  DuckDB: { missing: 'NULL', infinite: '-inf', truths: ['false', 'true'] },
  Polars: { missing: 'NaN', infinite: '-inf', truths: ['false', 'true'] },
  JavaScript: { missing: 'null', infinite: '-Infinity', truths: ['no', 'yes'] },
} as const;

const dialect = fc.record({
  program: fc.constantFrom(...Object.values(programs)),
  separator: fc.constantFrom(',', ';', '\t', '|'),
  lineEnd: fc.constantFrom(...lineEnds),
  quotesAll: fc.boolean(),
  mark: fc.constantFrom('.', ','),
  encoding: fc.constantFrom(...Object.keys(encoders)),
  isDeclared: fc.boolean(),
  isTrailing: fc.boolean(),
  isZipped: fc.boolean(),
});

/** With fourteen decimals, a comma cannot be taken for a thousands separator. */
const decimal = (value: number) => (Number.isInteger(value) ? String(value) : value.toFixed(14));

const stored = (value: number) => (Number.isFinite(value) ? Math.fround(Number(decimal(value))) : value);

const gzip = async (bytes: Uint8Array<ArrayBuffer>) =>
  new Uint8Array(
    await new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer(),
  );

describe('reading a CSV in any dialect', () => {
  it('reads the numbers and texts that were written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 8 }), dialect, async (rows, dialect) => {
        const { program, separator, lineEnd, mark, encoding, isDeclared, isTrailing, isZipped } = dialect;
        const number = (value: number) => {
          if (Number.isNaN(value)) return program.missing;
          return Number.isFinite(value) ? decimal(value).replace('.', mark) : program.infinite;
        };
        const truth = (value: number) => (value === 0 || value === 1 ? program.truths[value] : number(value));
        // In Windows-1252, the ö makes sure that the text is not valid UTF-8 by chance.
        const records = [
          ['ö name; with, all | of\tthem', 'entropy', 'correct', ' logProb ', 'question'],
          ...rows.map((row, i) => [
            `id ${i}`,
            number(row.entropy),
            truth(row.correct),
            number(row.logProb),
            row.question.replaceAll('\n', lineEnd),
          ]),
        ].map((record) => (isTrailing ? [...record, ''] : record));
        const text = (isDeclared ? `sep=${separator}${lineEnd}` : '') + csvText(records, dialect);
        const bytes = encoders[encoding]!(text);
        const table = await read(isZipped ? await gzip(bytes) : bytes);
        expect(table.rows).toBe(rows.length);
        rows.forEach(({ entropy, correct, logProb, question }, i) => {
          expect(table.entropies.given![i]).toBe(stored(entropy));
          expect(table.correct[i]).toBe(correct);
          expect(table.logProbs![i]).toBe(stored(logProb));
          expect(table.question.at(i)).toBe(question.replaceAll('\n', lineEnd) || undefined);
        });
      }),
      { numRuns: 400 },
    );
  });

  it('says in which encoding and with which decimal mark it was read, if that is not certain', async () => {
    const text = 'entropy;correct;question\n4,5;1;Où est le café – n° 1 ?\n';
    const table = await read(encoders['windows-1252']!(text));
    expect(table.question.at(0)).toBe('Où est le café – n° 1 ?');
    expect(table.notes).toEqual([
      'Its text is not UTF-8 and was read as Windows-1252. If letters look wrong, save the table as UTF-8.',
      'Its numbers were read with a decimal comma.',
    ]);
    expect((await read(encoders['utf-16be']!(text))).notes[0]).toContain('read as UTF-16');
    expect((await read(encoders['utf-16be with mark']!('entropy,correct\n1,1\n'))).notes).toEqual([]);
  });

  it('skips blank lines and lines of separators only, and accepts a missing last text', async () => {
    const table = await readText('\n\nentropy,correct,question\n\n4.5,1,"a\nb"\n,,\n\n4.25,0\n');
    expect([...table.entropies.given!]).toEqual([4.5, 4.25]);
    expect(table.question.at(1)).toBeUndefined();
  });

  it('counts infinite values that cannot be used', async () => {
    const table = await readText('entropy,correct,logProb\ninf,1,-inf\n-Inf,0,Infinity\n2,1,-1\n');
    expect([...table.entropies.given!]).toEqual([Number.NaN, Number.NaN, 2]);
    expect([...table.logProbs!]).toEqual([Number.NEGATIVE_INFINITY, Number.NaN, -1]);
    expect(table.notes).toEqual([
      'Column entropy has 2 infinite values, treated as unknown.',
      'Column logProb has 1 infinite value, treated as unknown.',
    ]);
  });
});

describe('refusing a CSV that would be misread', () => {
  it.each([
    // Lines are the file's own: blank lines, line breaks in cells and the line "sep=" count.
    ['sep=;\r\n\r\nentropy;correct;question\r\n1;1;"a\r\nb"\r\n\r\n2;maybe;c\r\n', 'line 7 has "maybe"'],
    ['entropy,correct\r4,1\r\r5,7\r', 'line 4 has 7'],
    ['entropy,correct\n4.5,1\n1.234,5,0\n', 'line 3 has 3 cells, but the header has 2'],
    ['entropy,correct\n4,5,1\n', 'separate cells by semicolons if the decimal mark is a comma'],
    ['entropy,correct,logProb\n4.5,1,-1\n4.5\n', 'line 3 has 1 cell, too few to have one in column correct'],
    ['entropy;correct\n1.234,5;1\n', 'line 2 has "1.234,5". Thousands separators are not read'],
    ["entropy;correct\n1'234.5;1\n", 'Thousands separators are not read'],
    ['entropy;correct\n1 234,5;1\n0,5;1\n', 'Thousands separators are not read'],
    ['entropy;correct;length\n4,5;1;1.234\n', 'two decimal marks or thousands separators'],
    ['entropy,correct\n"1,234",1\n"5,678",0\n', 'can be read in two ways'],
    ['entropy,correct\n50 %,1\n', 'Percentages are not read'],
    ['entropy,correct\n0x10,1\n', 'must hold numbers, but line 2 has "0x10"'],
    ['entropy,correct\nyes,1\n', 'must hold numbers, but line 2 has "yes"'],
    ['entropy,correct,entropy\n4.5,1,5\n', 'two of its columns are named entropy'],
    ['entropy,correct,logProb\n4.5,1,0.25\n', 'log-probabilities, which are at most 0, but line 2 has 0.25'],
    ['entropy,correct,length\n4.5,1,2.5\n', 'whole numbers of tokens, but line 2 has 2.5'],
    ['entropy,correct\n"4.5,1\n4.5,1\n', 'line 2 opens a quoted cell that is never closed'],
    ['entropy,correct\n', 'it has no rows'],
    ['"entropy","correct"\n"r1",4.5,1\n"r2",4.25,0\n', 'give the first column a name (in R, write.csv does)'],
  ])('%j', async (text, reason) => {
    await expect(readText(text)).rejects.toThrow(reason);
  });

  it('refuses text that ends in the middle of a character', async () => {
    const text = new TextEncoder().encode('entropy,correct,question\n1,1,é');
    await expect(read(text.slice(0, -1))).rejects.toThrow('ends in the middle of a character');
  });
});
