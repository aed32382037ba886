import type { AnswerToken } from '../contract/run';
import { indicesOf, rangeBetween } from '../text/token-words';

/** `auto` until the user picks: the newest token with a map while the answer streams, then the least probable token. */
export type TokenSelection =
  | { readonly kind: 'auto' }
  | { readonly kind: 'answer' }
  | {
      readonly kind: 'picked';
      /** Ascending, not empty. */
      readonly indices: readonly number[];
      /** Where the range begins; Shift extends it from here. */
      readonly anchor: number;
    };

export type TokenUnit = 'token' | 'word';

export function pickToken(tokens: readonly AnswerToken[], index: number, unit: TokenUnit): TokenSelection {
  return { kind: 'picked', indices: indicesOf(rangeBetween(tokens, index, index, unit === 'word')), anchor: index };
}

/** The selection to extend: if nothing has been picked yet, the tokens whose maps are shown. */
export function pickedOrShown(selection: TokenSelection, shown: readonly number[]): TokenSelection {
  const anchor = shown[0];
  return selection.kind === 'picked' || anchor === undefined ? selection : { kind: 'picked', indices: shown, anchor };
}

export function extendSelection(
  tokens: readonly AnswerToken[],
  from: TokenSelection,
  index: number,
  unit: TokenUnit,
): TokenSelection {
  const anchor = from.kind === 'picked' ? from.anchor : index;
  return { kind: 'picked', indices: indicesOf(rangeBetween(tokens, anchor, index, unit === 'word')), anchor };
}

/** Adds or removes a token (or word); the last one cannot be removed. */
export function toggleToken(
  tokens: readonly AnswerToken[],
  from: TokenSelection,
  index: number,
  unit: TokenUnit,
): TokenSelection {
  if (from.kind !== 'picked') return pickToken(tokens, index, unit);
  const toggled = indicesOf(rangeBetween(tokens, index, index, unit === 'word'));
  const isIn = from.indices.includes(index);
  const indices = isIn
    ? from.indices.filter((other) => !toggled.includes(other))
    : [...new Set([...from.indices, ...toggled])].sort((a, b) => a - b);
  return indices.length === 0 ? from : { kind: 'picked', indices, anchor: index };
}

/** The indices of the tokens currently selected. */
export function resolveSelection(
  selection: TokenSelection,
  tokens: readonly AnswerToken[],
  hasMap: (index: number) => boolean,
  hasEnded: boolean,
): readonly number[] {
  switch (selection.kind) {
    case 'answer':
      return tokens.map((token) => token.index);
    case 'picked':
      return selection.indices.filter((index) => index < tokens.length);
    case 'auto': {
      const withMap = tokens.map((token) => token.index).filter(hasMap);
      if (hasEnded) return leastCertain(withMap.map((index) => tokens[index]!));
      const newest = withMap.at(-1);
      return newest === undefined ? [] : [newest];
    }
  }
}

/**
 * The token with the lowest probability, because it carries the most information, whereas the last token is only a full
 * stop. Empty if there are no tokens.
 */
export function leastCertain(tokens: readonly AnswerToken[]): readonly number[] {
  const [first, ...others] = tokens;
  if (first === undefined) return [];
  return [others.reduce((best, token) => (token.logProb < best.logProb ? token : best), first).index];
}

/**
 * The answer tokens whose map reaches the threshold at one patch, strongest first. `readOf` returns a token's map in the
 * unit of the threshold; `patchIndex` counts over all frames.
 */
export function selectTokensOnPatch(
  tokens: readonly AnswerToken[],
  readOf: (index: number) => Float32Array | undefined,
  patchIndex: number,
  threshold: number,
): readonly { readonly index: number; readonly value: number }[] {
  return tokens
    .map((token) => ({ index: token.index, value: readOf(token.index)?.[patchIndex] ?? 0 }))
    .filter((entry) => entry.value >= threshold)
    .sort((a, b) => b.value - a.value);
}
