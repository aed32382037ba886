/** The fields of an answer token that grouping needs; `AnswerToken` says what they mean. */
export interface WordToken {
  readonly index: number;
  readonly word: number;
}

export interface IndexRange {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
}

/** Scripts written without spaces: a line may break between any two of their characters. */
const unspaced =
  '[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}]';
const breakBefore = new RegExp(`^(\\s|${unspaced})`, 'u');
const breakAfter = new RegExp(`(\\s|${unspaced})$`, 'u');

/** Longer runs without a space may break between any two tokens, because they may not fit on a line. */
const maxUnbroken = 24;

/**
 * Groups tokens that must stay on one line. A new group starts at white space, in scripts without spaces, and where the
 * group would become too long for a line.
 */
export function unbrokenGroups<Token extends { readonly text: string }>(tokens: readonly Token[]): Token[][] {
  const groups: Token[][] = [];
  for (const token of tokens) {
    const group = groups.at(-1);
    const previous = group?.at(-1)?.text ?? '';
    const isLong = (group ?? []).reduce((sum, { text }) => sum + text.length, token.text.length) > maxUnbroken;
    if (group === undefined || isLong || breakBefore.test(token.text) || breakAfter.test(previous))
      groups.push([token]);
    else group.push(token);
  }
  return groups;
}

/** The tokens of the word that token `index` belongs to; they are always adjacent. */
export function wordRange(tokens: readonly WordToken[], index: number): IndexRange {
  const word = tokens[index]?.word;
  let first = index;
  let last = index;
  while (first > 0 && tokens[first - 1]!.word === word) first--;
  while (last + 1 < tokens.length && tokens[last + 1]!.word === word) last++;
  return { first, last };
}

/** The number of words that the tokens belong to, completely or in part. */
export function countWords(tokens: readonly WordToken[], indices: readonly number[]): number {
  return new Set(indices.map((index) => tokens[index]?.word)).size;
}

/** The range between two tokens in either order, extended to complete words if `byWord`. */
export function rangeBetween(tokens: readonly WordToken[], a: number, b: number, byWord: boolean): IndexRange {
  const first = Math.min(a, b);
  const last = Math.max(a, b);
  if (!byWord) return { first, last };
  return { first: wordRange(tokens, first).first, last: wordRange(tokens, last).last };
}

export function indicesOf(range: IndexRange): number[] {
  return Array.from({ length: range.last - range.first + 1 }, (_, i) => range.first + i);
}

/** The token that `key` moves to from token `from`, by whole words if `byWord`; undefined for keys that do not move. */
export function tokenAfterKey(
  tokens: readonly WordToken[],
  from: number,
  key: string,
  byWord: boolean,
): number | undefined {
  const last = tokens.length - 1;
  const current = byWord ? wordRange(tokens, from) : { first: from, last: from };
  switch (key) {
    case 'ArrowLeft':
    case 'ArrowUp': {
      const previous = Math.max(0, current.first - 1);
      return byWord ? wordRange(tokens, previous).first : previous;
    }
    case 'ArrowRight':
    case 'ArrowDown':
      return current.last >= last ? current.first : current.last + 1;
    case 'Home':
      return 0;
    case 'End':
      return byWord ? wordRange(tokens, last).first : last;
    default:
      return undefined;
  }
}
