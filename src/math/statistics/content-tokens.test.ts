import { describe, expect, it } from 'vitest';
import { contentTokens } from './content-tokens';
import fixture from './fixtures/calibration.json';
import { functionWords } from './function-words';

describe('content tokens', () => {
  it.each(fixture.content)('of $texts match Python', ({ texts, words, isContent }) => {
    expect(contentTokens(texts.map((text, i) => ({ text, word: words[i]! })))).toEqual(isContent);
  });

  it('use the same function words as Python', () => {
    expect([...functionWords].sort()).toEqual([...fixture.functionWords].sort());
  });

  it('are the words that questions ask about', () => {
    const isContent = (text: string) =>
      contentTokens(text.split(' ').map((word, i) => ({ text: ` ${word}`, word: i })));
    expect(isContent('The large sphere is red.')).toEqual([false, true, true, false, true]);
    expect(isContent('No, it is not on the left')).toEqual([true, false, false, true, false, false, true]);
    expect(isContent('There are three cubes !')).toEqual([false, false, true, true, false]);
  });
});
