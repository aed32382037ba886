import { functionWords } from './function-words';

export interface TokenText {
  readonly text: string;
  /** Index of the word; all tokens of a word share it and are adjacent. */
  readonly word: number;
}

const letterOrDigit = /[\p{L}\p{N}]/u;
const outerPunctuation = /^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu;

/**
 * Whether each token of an answer is a content token: it has a letter or a digit, and its word, in lower case and
 * without leading and trailing punctuation, is not a function word. The same rule as
 * companion/src/patchlight/calibration/content_tokens.py.
 */
export function contentTokens(tokens: readonly TokenText[]): boolean[] {
  const words = new Map<number, string>();
  for (const { text, word } of tokens) words.set(word, (words.get(word) ?? '') + text);
  return tokens.map(({ text, word }) => {
    const plainWord = words.get(word)!.replaceAll('’', "'").replace(outerPunctuation, '').toLowerCase();
    return letterOrDigit.test(text) && !functionWords.has(plainWord);
  });
}
