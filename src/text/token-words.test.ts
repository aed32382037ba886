import { describe, expect, it } from 'vitest';
import { countWords, indicesOf, rangeBetween, tokenAfterKey, unbrokenGroups, wordRange } from './token-words';

/** "the cube ##s are red ." */
const tokens = [0, 1, 1, 2, 3, 4].map((word, index) => ({ index, word }));

describe('tokens and words', () => {
  it('finds all tokens of a word from any of them', () => {
    expect(wordRange(tokens, 1)).toEqual({ first: 1, last: 2 });
    expect(wordRange(tokens, 2)).toEqual({ first: 1, last: 2 });
    expect(wordRange(tokens, 0)).toEqual({ first: 0, last: 0 });
  });

  it('counts a word once, however many of its tokens are given', () => {
    expect(countWords(tokens, [1, 2])).toBe(1);
    expect(countWords(tokens, [0, 2, 5])).toBe(3);
  });

  it('selects between two tokens in either direction, optionally by word', () => {
    expect(rangeBetween(tokens, 4, 2, false)).toEqual({ first: 2, last: 4 });
    expect(rangeBetween(tokens, 4, 2, true)).toEqual({ first: 1, last: 4 });
    expect(indicesOf({ first: 2, last: 4 })).toEqual([2, 3, 4]);
  });

  it('keeps the tokens and punctuation of a word on one line', () => {
    const texts = ['The', ' cube', 's', ',', ' and', ' more', '.'].map((text) => ({ text }));
    expect(unbrokenGroups(texts).map((group) => group.map(({ text }) => text).join(''))).toEqual([
      'The',
      ' cubes,',
      ' and',
      ' more.',
    ]);
    expect(unbrokenGroups([])).toEqual([]);
  });

  it('allows a line break at newlines and between characters of scripts without spaces', () => {
    const groupsOf = (...texts: string[]) =>
      unbrokenGroups(texts.map((text) => ({ text }))).map((group) => group.map(({ text }) => text).join(''));
    expect(groupsOf('Two', ':', '\n\n', '1', '.', ' red')).toEqual(['Two:', '\n\n', '1.', ' red']);
    expect(groupsOf('图中', '有', '三个', '球')).toEqual(['图中', '有', '三个', '球']);
  });

  it('moves by token', () => {
    expect(tokenAfterKey(tokens, 1, 'ArrowRight', false)).toBe(2);
    expect(tokenAfterKey(tokens, 0, 'ArrowLeft', false)).toBe(0);
    expect(tokenAfterKey(tokens, 5, 'ArrowRight', false)).toBe(5);
    expect(tokenAfterKey(tokens, 3, 'End', false)).toBe(5);
    expect(tokenAfterKey(tokens, 3, 'Tab', false)).toBeUndefined();
  });

  it('moves by word', () => {
    expect(tokenAfterKey(tokens, 1, 'ArrowRight', true)).toBe(3);
    expect(tokenAfterKey(tokens, 3, 'ArrowLeft', true)).toBe(1);
    expect(tokenAfterKey(tokens, 2, 'Home', true)).toBe(0);
  });
});
