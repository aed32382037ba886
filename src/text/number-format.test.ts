import { describe, expect, it } from 'vitest';
import { formatBytes, formatCount, formatMs, formatProbability, listOf } from './number-format';

describe('number formats', () => {
  it('shows an extra digit for probabilities near 0 % and 100 %', () => {
    expect(formatProbability(Math.log(0.97))).toBe('97 %');
    expect(formatProbability(Math.log(0.994))).toBe('99.4 %');
    expect(formatProbability(0)).toBe('100 %');
    expect(formatProbability(Math.log(0.0123))).toBe('1.2 %');
    expect(formatProbability(-20)).toBe('<0.1 %');
  });

  it('shows bytes and milliseconds in a suitable unit', () => {
    expect(formatBytes(12_400_000)).toBe('12.4 MB');
    expect(formatBytes(730_000)).toBe('730 kB');
    expect([formatBytes(40), formatBytes(0)]).toEqual(['1 kB', '0 kB']);
    expect(formatMs(2.41)).toBe('2.4 ms');
    expect(formatMs(184.4)).toBe('184 ms');
    expect(formatMs(1320)).toBe('1.32 s');
  });

  it('counts with the singular or plural noun', () => {
    expect(formatCount(1, 'patch', 'patches')).toBe('1 patch');
    expect(formatCount(0, 'patch', 'patches')).toBe('0 patches');
  });

  it('lists parts with commas and “and”', () => {
    expect([listOf([]), listOf(['a']), listOf(['a', 'b']), listOf(['a', 'b', 'c'])]).toEqual([
      '',
      'a',
      'a and b',
      'a, b and c',
    ]);
  });
});
