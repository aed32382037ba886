import { describe, expect, it } from 'vitest';
import { tableAsCsv } from './chart-table';

describe("a chart's numbers as CSV", () => {
  it('puts notes before the numbers and quotes cells that need it', () => {
    const text = tableAsCsv(
      {
        columns: ['kind, of question', 'n'],
        rows: [
          ['a "b"', 3],
          ['c', Number.NaN],
        ],
      },
      ['one', 'two\nthree'],
    );
    expect(text).toBe('# one\n# two three\n"kind, of question",n\n"a ""b""",3\nc,\n');
  });

  it('writes infinite values as pandas does', () => {
    expect(tableAsCsv({ columns: ['a', 'b'], rows: [[-Infinity, Infinity]] }, [])).toBe('a,b\n-inf,inf\n');
  });
});
