import { describe, expect, it } from 'vitest';
import type { AnswerToken, RelevancyMap } from '../contract/run';
import { extendSelection, pickToken, resolveSelection, selectTokensOnPatch, toggleToken } from './token-selection';

/** "the | cube | s | are | red | ." */
const tokens: AnswerToken[] = ['the', ' cube', 's', ' are', ' red', '.'].map((text, index) => ({
  index,
  tokenId: index,
  text,
  word: [0, 1, 1, 2, 3, 4][index]!,
  logProb: -0.1,
  alternatives: [],
}));
const maps = new Map<number, RelevancyMap>(
  [0, 1, 2, 4].map((tokenIndex) => [
    tokenIndex,
    {
      method: 'fastrm',
      tokenIndex,
      values: Float32Array.of(tokenIndex / 8, 0.5),
      backend: 'wasm',
      computeMs: 2,
    },
  ]),
);
const hasMap = (index: number) => maps.has(index);

describe('selecting answer tokens', () => {
  it('picks a token, or all sub-tokens of its word', () => {
    expect(pickToken(tokens, 2, 'token')).toMatchObject({ indices: [2] });
    expect(pickToken(tokens, 2, 'word')).toMatchObject({ indices: [1, 2] });
  });

  it('extends from the anchor in both directions', () => {
    const start = pickToken(tokens, 3, 'token');
    const right = extendSelection(tokens, start, 5, 'token');
    expect(right).toMatchObject({ indices: [3, 4, 5], anchor: 3 });
    expect(extendSelection(tokens, right, 2, 'word')).toMatchObject({ indices: [1, 2, 3], anchor: 3 });
  });

  it('adds and removes single tokens, and keeps the last one', () => {
    const two = toggleToken(tokens, pickToken(tokens, 4, 'token'), 1, 'token');
    expect(two).toMatchObject({ indices: [1, 4] });
    const one = toggleToken(tokens, two, 4, 'token');
    expect(one).toMatchObject({ indices: [1] });
    expect(toggleToken(tokens, one, 1, 'token')).toBe(one);
  });

  it('follows the newest token with a map while the answer streams, then settles on the least probable', () => {
    expect(resolveSelection({ kind: 'auto' }, tokens, hasMap, false)).toEqual([4]);
    expect(resolveSelection({ kind: 'auto' }, tokens.slice(0, 4), hasMap, false)).toEqual([2]);
    const unsure = tokens.map((token) => ({ ...token, logProb: [-0.1, -0.9, -0.1, -3, -0.4, -0.1][token.index]! }));
    expect(resolveSelection({ kind: 'auto' }, unsure, hasMap, true), 'token 3 has no map').toEqual([1]);
  });

  it('resolves the whole answer to every token', () => {
    expect(resolveSelection({ kind: 'answer' }, tokens, hasMap, false)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('lists the tokens that used a patch, strongest first', () => {
    expect(selectTokensOnPatch(tokens, (index) => maps.get(index)?.values, 0, 0.25)).toEqual([
      { index: 4, value: 0.5 },
      { index: 2, value: 0.25 },
    ]);
  });
});
