import { meanOf } from './numbers';

/** How an answer's token values are combined into one value; in display order. */
export const poolings = ['mean', 'content-mean', 'max', 'min', 'first-content', 'last-content'] as const;

export type Pooling = (typeof poolings)[number];

/** Display names. */
export const poolingNames: Readonly<Record<Pooling, string>> = {
  mean: 'mean of all tokens',
  'content-mean': 'mean of content tokens',
  max: 'largest',
  min: 'smallest',
  'first-content': 'first content token',
  'last-content': 'last content token',
};

/**
 * Combines the token values of one answer into one value. NaNs are ignored; the result is NaN if no value remains. A
 * token at -Infinity puts the mean there too. The content poolings use all tokens if `isContent` is undefined or no content token has a value.
 */
export function poolTokens(
  values: ArrayLike<number>,
  isContent: ArrayLike<number | boolean> | undefined,
  pooling: Pooling,
): number {
  return poolRange(values, isContent, pooling, 0, values.length);
}

/** Pools each answer, whose tokens are `starts[row]` to `starts[row + 1]`. Returns [rows]. */
export function poolAnswers(
  values: ArrayLike<number>,
  starts: ArrayLike<number>,
  isContent: ArrayLike<number> | undefined,
  pooling: Pooling,
): Float64Array {
  return Float64Array.from({ length: starts.length - 1 }, (_, row) =>
    poolRange(values, isContent, pooling, starts[row]!, starts[row + 1]!),
  );
}

function poolRange(
  values: ArrayLike<number>,
  isContent: ArrayLike<number | boolean> | undefined,
  pooling: Pooling,
  from: number,
  to: number,
): number {
  const needsContent = pooling === 'content-mean' || pooling === 'first-content' || pooling === 'last-content';
  if (needsContent && isContent !== undefined) {
    const pooled = reduce(values, isContent, pooling, from, to);
    if (!Number.isNaN(pooled)) return pooled;
  }
  return reduce(values, undefined, pooling, from, to);
}

function reduce(
  values: ArrayLike<number>,
  isIncluded: ArrayLike<number | boolean> | undefined,
  pooling: Pooling,
  from: number,
  to: number,
): number {
  let n = 0;
  let sum = 0;
  let min = Number.NaN;
  let max = Number.NaN;
  let first = Number.NaN;
  let last = Number.NaN;
  for (let token = from; token < to; token++) {
    const value = values[token]!;
    if (Number.isNaN(value) || (isIncluded !== undefined && !isIncluded[token])) continue;
    if (n === 0) {
      first = value;
      min = value;
      max = value;
    }
    n++;
    sum += value;
    if (value < min) min = value;
    if (value > max) max = value;
    last = value;
  }
  switch (pooling) {
    case 'mean':
    case 'content-mean':
      if (n === 0) return Number.NaN;
      if (Number.isFinite(sum) || !Number.isFinite(min) || !Number.isFinite(max)) return sum / n;
      // The sum of finite values overflowed.
      return meanOf(included(values, isIncluded, from, to));
    case 'max':
      return max;
    case 'min':
      return min;
    case 'first-content':
      return first;
    case 'last-content':
      return last;
  }
}

function included(
  values: ArrayLike<number>,
  isIncluded: ArrayLike<number | boolean> | undefined,
  from: number,
  to: number,
): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
    .filter((token) => !Number.isNaN(values[token]) && (isIncluded === undefined || Boolean(isIncluded[token])))
    .map((token) => values[token]!);
}
