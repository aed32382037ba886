import type { AnswerToken, RelevancyMap } from '../contract/run';
import { averageMaps } from '../math/maps/map-values';
import { indicesOf, rangeBetween } from '../text/token-words';

/** `auto` until the user picks: the newest token with a map while the answer is written, then the one that says most. */
export type TokenSelection =
  | { readonly kind: 'auto' }
  | { readonly kind: 'answer' }
  | {
      readonly kind: 'picked';
      /** Ascending, not empty. */
      readonly indices: readonly number[];
      /** Where a range began; shift extends from here. */
      readonly anchor: number;
    };

export type TokenUnit = 'token' | 'word';

export function pickToken(tokens: readonly AnswerToken[], index: number, unit: TokenUnit): TokenSelection {
  return { kind: 'picked', indices: indicesOf(rangeBetween(tokens, index, index, unit === 'word')), anchor: index };
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

/** Adds a token (or word) that is out, takes one out that is in; the last one stays. */
export function toggleToken(
  tokens: readonly AnswerToken[],
  from: TokenSelection,
  index: number,
  unit: TokenUnit,
): TokenSelection {
  if (from.kind !== 'picked') return pickToken(tokens, index, unit);
  const touched = indicesOf(rangeBetween(tokens, index, index, unit === 'word'));
  const isIn = from.indices.includes(index);
  const indices = isIn
    ? from.indices.filter((other) => !touched.includes(other))
    : [...new Set([...from.indices, ...touched])].sort((a, b) => a - b);
  return indices.length === 0 ? from : { kind: 'picked', indices, anchor: index };
}

/** The tokens that a selection means at this moment. */
export function resolveSelection(
  selection: TokenSelection,
  tokens: readonly AnswerToken[],
  mapOf: (index: number) => RelevancyMap | undefined,
  hasEnded: boolean,
): readonly number[] {
  switch (selection.kind) {
    case 'answer':
      return tokens.map((token) => token.index);
    case 'picked':
      return selection.indices.filter((index) => index < tokens.length);
    case 'auto': {
      const withMap = tokens.map((token) => token.index).filter((index) => mapOf(index) !== undefined);
      if (hasEnded) return mostTelling(withMap.map((index) => tokens[index]!));
      const newest = withMap.at(-1);
      return newest === undefined ? [] : [newest];
    }
  }
}

/** The token that says most, by its own probability; the newest one of a whole answer is its full stop. Empty for no tokens. */
export function mostTelling(tokens: readonly AnswerToken[]): readonly number[] {
  const [first, ...others] = tokens;
  if (first === undefined) return [];
  return [others.reduce((best, token) => (token.logProb < best.logProb ? token : best), first).index];
}

/** The map on screen: the mean of the selected tokens' maps, in one frame. */
export interface ShownMap {
  /** Row-major over the frame's grid. */
  readonly values: Float32Array;
  /** Those of the selection that have a map. */
  readonly tokenIndices: readonly number[];
  /** Those that have none yet, or never got one. */
  readonly missing: readonly number[];
  /** All their maps together. */
  readonly computeMs: number;
  readonly backend: RelevancyMap['backend'];
}

/** `frame` says where the shown frame's patches lie in a map. */
export function selectShownMap(
  indices: readonly number[],
  mapOf: (index: number) => RelevancyMap | undefined,
  frame: { readonly first: number; readonly end: number },
): ShownMap | undefined {
  const maps = indices.map(mapOf).filter((map) => map !== undefined);
  const values = averageMaps(maps.map((map) => map.values.subarray(frame.first, frame.end)));
  const backend = maps[0]?.backend;
  if (values === undefined || backend === undefined) return undefined;
  return {
    values,
    tokenIndices: indices.filter((index) => mapOf(index) !== undefined),
    missing: indices.filter((index) => mapOf(index) === undefined),
    computeMs: maps.reduce((sum, map) => sum + map.computeMs, 0),
    backend,
  };
}

/** The answer tokens whose own map reaches the threshold at one patch, strongest first; `patchIndex` is of all frames. */
export function selectTokensOnPatch(
  tokens: readonly AnswerToken[],
  mapOf: (index: number) => RelevancyMap | undefined,
  patchIndex: number,
  threshold: number,
): readonly { readonly index: number; readonly value: number }[] {
  return tokens
    .map((token) => ({ index: token.index, value: mapOf(token.index)?.values[patchIndex] ?? 0 }))
    .filter((entry) => entry.value >= threshold)
    .sort((a, b) => b.value - a.value);
}
