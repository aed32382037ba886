import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCsv } from './csv-records';
import { csvText, lineEnds } from './csv-text.example';

const cell = fc.string({
  unit: fc.constantFrom('a', 'é', ' ', '"', ',', ';', '\t', '|', '\n', '\r', '\r\n', '1'),
  maxLength: 6,
});

describe('reading CSV records', () => {
  it('reads back what was written, with the line of each record', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(',', ';', '\t', '|'),
        fc.constantFrom(...lineEnds),
        fc.boolean(),
        fc.array(fc.nat({ max: 2 }), { minLength: 6, maxLength: 6 }),
        (records, separator, lineEnd, quotesAll, blanks) => {
          let text = '';
          const lines: number[] = [];
          records.forEach((record, i) => {
            text += lineEnd.repeat(blanks[i]!);
            lines.push(text.split(/\r\n|\r|\n/).length);
            text += csvText([record], { separator, lineEnd, quotesAll });
          });
          expect(parseCsv(text, separator)).toEqual({ cells: records, lines });
        },
      ),
      { numRuns: 500 },
    );
  });

  it('accepts spaces around quoted cells, and empty cells at the end', () => {
    expect(parseCsv('a, "b, c" ,\r\n,"",\n', ',').cells).toEqual([
      ['a', 'b, c', ''],
      ['', '', ''],
    ]);
  });

  it.each([
    ['a,b\n"1,2\n3,4\n', 'line 2 opens a quoted cell that is never closed'],
    ['a,b\n"x\ny",2\n"5" tall,3\n', 'line 4 has text after a closing quote'],
    ['a,b\n"say \\"hi\\"",3\n', 'line 2 has text after a closing quote'],
  ])('names the line of an invalid quote: %j', (text, reason) => {
    expect(() => parseCsv(text, ',')).toThrow(reason);
  });
});
