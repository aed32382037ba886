/** What is needed of an answer token to group it; see the run's own token for the meaning. */
export interface WordToken {
  readonly index: number;
  readonly word: number;
}

export interface IndexRange {
  readonly first: number;
  /** Included. */
  readonly last: number;
}

/** Scripts that are written without spaces: a line may break between any two of their characters. */
const unspaced =
  '[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}]';
const breakBefore = new RegExp(`^(\\s|${unspaced})`, 'u');
const breakAfter = new RegExp(`(\\s|${unspaced})$`, 'u');

/** Tokens by what no line may break: a group ends where white space is, or a script without spaces. */
export function unbrokenGroups<Token extends { readonly text: string }>(tokens: readonly Token[]): Token[][] {
  const groups: Token[][] = [];
  for (const token of tokens) {
    const group = groups.at(-1);
    const before = group?.at(-1)?.text ?? '';
    if (group === undefined || breakBefore.test(token.text) || breakAfter.test(before)) groups.push([token]);
    else group.push(token);
  }
  return groups;
}

/** The sub-tokens of the word that token `index` belongs to. They stand side by side by construction. */
export function wordRange(tokens: readonly WordToken[], index: number): IndexRange {
  const word = tokens[index]?.word;
  let first = index;
  let last = index;
  while (first > 0 && tokens[first - 1]!.word === word) first--;
  while (last + 1 < tokens.length && tokens[last + 1]!.word === word) last++;
  return { first, last };
}

/** From one token to another, whichever comes first, widened to whole words where `byWord`. */
export function rangeBetween(tokens: readonly WordToken[], a: number, b: number, byWord: boolean): IndexRange {
  const first = Math.min(a, b);
  const last = Math.max(a, b);
  if (!byWord) return { first, last };
  return { first: wordRange(tokens, first).first, last: wordRange(tokens, last).last };
}

export function indicesOf(range: IndexRange): number[] {
  return Array.from({ length: range.last - range.first + 1 }, (_, i) => range.first + i);
}

/** Where a key leads from token `from`, a word at a time where `byWord`; undefined for other keys. */
export function tokenAfterKey(
  tokens: readonly WordToken[],
  from: number,
  key: string,
  byWord: boolean,
): number | undefined {
  const last = tokens.length - 1;
  const here = byWord ? wordRange(tokens, from) : { first: from, last: from };
  switch (key) {
    case 'ArrowLeft':
    case 'ArrowUp': {
      const before = Math.max(0, here.first - 1);
      return byWord ? wordRange(tokens, before).first : before;
    }
    case 'ArrowRight':
    case 'ArrowDown':
      return here.last >= last ? here.first : here.last + 1;
    case 'Home':
      return 0;
    case 'End':
      return byWord ? wordRange(tokens, last).first : last;
    default:
      return undefined;
  }
}
