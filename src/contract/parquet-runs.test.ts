import { describe, expect, it } from 'vitest';
import { checkDeltas, checkPrefixes, checkRuns, countPresent, readerOf } from './parquet-runs';

const bytes = (...values: number[]) => readerOf(Uint8Array.from(values));

describe('checkRuns', () => {
  it('accepts runs and padded bits, and moves past them', () => {
    // 3 times a value of 1 bit, then 8 packed bits of which 5 are values.
    const reader = bytes(6, 1, 3, 0b10101, 99);
    checkRuns(reader, 4, { width: 1, count: 8 });
    expect(reader.offset).toBe(4);
  });

  it.each<[string, number[], { width: number; count: number }]>([
    ['a run ends at 2147483647 of 8 values', [254, 255, 255, 255, 15, 1], { width: 1, count: 8 }],
    ['a run ends at 8388608 of 8 values', [129, 128, 128, 1], { width: 0, count: 8 }],
    ['its runs end at 3 of 8 values', [6, 1], { width: 1, count: 8 }],
    ['runs of 40 bits', [6, 1], { width: 40, count: 3 }],
  ])('refuses: %s', (reason, values, options) => {
    expect(() => checkRuns(bytes(...values), values.length, options)).toThrow(reason);
  });

  it('counts the levels of values that are not missing', () => {
    expect(countPresent(bytes(6, 1, 4, 0), 4, { max: 1, count: 5 })).toBe(3);
  });
});

describe('checkDeltas', () => {
  it('accepts one value', () => {
    expect(() => checkDeltas(bytes(128, 1, 4, 1, 10), 1)).not.toThrow();
  });

  it.each<[string, number[]]>([
    ['blocks of 128 values in -1 parts', [128, 1, 255, 255, 255, 255, 15, 1, 10]],
    ['blocks of 128 values in 0 parts', [128, 1, 0, 1, 10]],
    ['blocks of -1 values in 1 parts', [255, 255, 255, 255, 15, 1, 1, 10]],
    ['claims 9 differences for 1 values', [128, 1, 4, 9, 10]],
  ])('refuses: %s', (reason, values) => {
    expect(() => checkDeltas(bytes(...values), 1)).toThrow(reason);
  });
});

describe('checkPrefixes', () => {
  // Each of the two lists of lengths has one block of one part: the first length and the difference to the second.
  const lengths = (first: number, difference: number) => [128, 1, 1, 2, 2 * first, 2 * difference, 0];

  it('accepts texts that start like the one before', () => {
    expect(() => checkPrefixes(bytes(...lengths(0, 2), ...lengths(2, 0), 97, 98, 99, 100), 2)).not.toThrow();
  });

  it('refuses a text that claims more than the bytes that are left', () => {
    expect(() => checkPrefixes(bytes(...lengths(0, 2), ...lengths(2, 30), 97, 98, 99, 100), 2)).toThrow(
      '32 of its own',
    );
  });

  it('refuses a text that claims more of the one before than there is', () => {
    expect(() => checkPrefixes(bytes(...lengths(0, 3), ...lengths(2, 0), 97, 98, 99, 100), 2)).toThrow(
      'a text claims 3 characters of the one before',
    );
  });
});
