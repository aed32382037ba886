import { describe, expect, it } from 'vitest';
import { parseAsMethods, parseAsPair } from './compare-settings';

describe('panels in the URL', () => {
  it('are one to four distinct methods, in the given order', () => {
    expect(parseAsMethods.parse('chefer,fastrm')).toEqual(['chefer', 'fastrm']);
    expect(parseAsMethods.parse('tam,tam,fastrm')).toEqual(['tam', 'fastrm']);
    expect(parseAsMethods.parse('tam,fastrm,chefer,rollout,random')).toEqual(['tam', 'fastrm', 'chefer', 'rollout']);
    expect(parseAsMethods.serialize(['dex-ar', 'fastrm'])).toBe('dex-ar,fastrm');
  });

  it('are ignored if none of them is a method', () => {
    expect(parseAsMethods.parse('grad-times-input')).toBeNull();
    expect(parseAsMethods.parse('')).toBeNull();
    expect(parseAsMethods.parse('nonsense,tam')).toEqual(['tam']);
  });
});

describe('the difference in the URL', () => {
  it('is the first of two methods minus the second', () => {
    expect(parseAsPair.parse('chefer,fastrm')).toEqual(['chefer', 'fastrm']);
    expect(parseAsPair.parse('chefer')).toBeNull();
    expect(parseAsPair.parse('chefer,chefer')).toBeNull();
    expect(parseAsPair.parse('chefer,fastrm,tam')).toBeNull();
  });
});
