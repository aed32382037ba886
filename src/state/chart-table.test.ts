import { describe, expect, it } from 'vitest';
import { tableAsCsv } from './chart-table';

describe("a chart's numbers as CSV", () => {
  it('has the notes before the numbers, and quotes what would fall apart', () => {
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
});
