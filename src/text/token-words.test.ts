import { describe, expect, it } from 'vitest';
import { indicesOf, rangeBetween, tokenAfterKey, unbrokenGroups, wordRange } from './token-words';

/** "the cube ##s are red ." */
const tokens = [0, 1, 1, 2, 3, 4].map((word, index) => ({ index, word }));

describe('tokens and their words', () => {
  it('finds all sub-tokens of a word from any of them', () => {
    expect(wordRange(tokens, 1)).toEqual({ first: 1, last: 2 });
    expect(wordRange(tokens, 2)).toEqual({ first: 1, last: 2 });
    expect(wordRange(tokens, 0)).toEqual({ first: 0, last: 0 });
  });

  it('selects between two tokens in either direction, widened to words on request', () => {
    expect(rangeBetween(tokens, 4, 2, false)).toEqual({ first: 2, last: 4 });
    expect(rangeBetween(tokens, 4, 2, true)).toEqual({ first: 1, last: 4 });
    expect(indicesOf({ first: 2, last: 4 })).toEqual([2, 3, 4]);
  });

  it('keeps sub-tokens and punctuation on the line of their word', () => {
    const texts = ['The', ' cube', 's', ',', ' and', ' more', '.'].map((text) => ({ text }));
    expect(unbrokenGroups(texts).map((group) => group.map(({ text }) => text).join(''))).toEqual([
      'The',
      ' cubes,',
      ' and',
      ' more.',
    ]);
    expect(unbrokenGroups([])).toEqual([]);
  });

  it('lets a line break at line breaks, and between characters of scripts without spaces', () => {
    const groupsOf = (...texts: string[]) =>
      unbrokenGroups(texts.map((text) => ({ text }))).map((group) => group.map(({ text }) => text).join(''));
    expect(groupsOf('Two', ':', '\n\n', '1', '.', ' red')).toEqual(['Two:', '\n\n', '1.', ' red']);
    expect(groupsOf('图中', '有', '三个', '球')).toEqual(['图中', '有', '三个', '球']);
  });

  it('steps by token', () => {
    expect(tokenAfterKey(tokens, 1, 'ArrowRight', false)).toBe(2);
    expect(tokenAfterKey(tokens, 0, 'ArrowLeft', false)).toBe(0);
    expect(tokenAfterKey(tokens, 5, 'ArrowRight', false)).toBe(5);
    expect(tokenAfterKey(tokens, 3, 'End', false)).toBe(5);
    expect(tokenAfterKey(tokens, 3, 'Tab', false)).toBeUndefined();
  });

  it('steps by word over sub-tokens', () => {
    expect(tokenAfterKey(tokens, 1, 'ArrowRight', true)).toBe(3);
    expect(tokenAfterKey(tokens, 3, 'ArrowLeft', true)).toBe(1);
    expect(tokenAfterKey(tokens, 2, 'Home', true)).toBe(0);
  });
});
