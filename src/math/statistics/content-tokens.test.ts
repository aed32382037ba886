import { describe, expect, it } from 'vitest';
import { contentTokens } from './content-tokens';
import fixture from './fixtures/calibration.json';
import { functionWords } from './function-words';

describe('content tokens', () => {
  it.each(fixture.content)('of $texts are Python’s', ({ texts, words, isContent }) => {
    expect(contentTokens(texts.map((text, i) => ({ text, word: words[i]! })))).toEqual(isContent);
  });

  it('know the same function words as Python', () => {
    expect([...functionWords].sort()).toEqual([...fixture.functionWords].sort());
  });

  it('are the words that a question asks for', () => {
    const said = (text: string) => contentTokens(text.split(' ').map((word, i) => ({ text: ` ${word}`, word: i })));
    expect(said('The large sphere is red.')).toEqual([false, true, true, false, true]);
    expect(said('No, it is not on the left')).toEqual([true, false, false, true, false, false, true]);
    expect(said('There are three cubes !')).toEqual([false, false, true, true, false]);
  });
});
