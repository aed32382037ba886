import { functionWords } from './function-words';

export interface SpokenToken {
  readonly text: string;
  /** Sub-tokens of one word share this number and stand side by side. */
  readonly word: number;
}

const carriesText = /[\p{L}\p{N}]/u;
const ends = /^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu;

/**
 * Which tokens of an answer carry content: those with a letter or a digit whose word, in lower case and without the
 * punctuation at its ends, is no function word. As companion/src/patchlight/calibration/content_tokens.py.
 */
export function contentTokens(tokens: readonly SpokenToken[]): boolean[] {
  const words = new Map<number, string>();
  for (const { text, word } of tokens) words.set(word, (words.get(word) ?? '') + text);
  return tokens.map(({ text, word }) => {
    const whole = words.get(word)!.replaceAll('’', "'").replace(ends, '').toLowerCase();
    return carriesText.test(text) && !functionWords.has(whole);
  });
}
