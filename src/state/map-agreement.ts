import type { MethodId } from '../contract/methods';
import {
  accuracyOf,
  averageRanks,
  countBinary,
  f1Of,
  membershipIou,
  rankCorrelation,
  topMembership,
} from '../math/maps/agreement';
import { readValues, type Thresholds, thresholdOf } from './panel-map';
import type { RunSnapshot } from './run-record';

export const topShares = [0.05, 0.1, 0.2] as const;

/** How well two maps agree; a measure is undefined if it does not exist for these maps. */
export interface Agreement {
  readonly rankCorrelation: number | undefined;
  /** One per share in `topShares`. */
  readonly topIou: readonly (number | undefined)[];
  readonly accuracy: number | undefined;
  readonly f1: number | undefined;
}

/** A complete map, or one frame of it, in the unit of its threshold. */
export interface ReadMap {
  readonly read: Float32Array;
  readonly threshold: number;
}

export function agreementOf(first: ReadMap, second: ReadMap): Agreement {
  const counts = countBinary(first.read, first.threshold, second.read, second.threshold);
  const [a, b] = [figuresOf(first.read), figuresOf(second.read)];
  return {
    rankCorrelation: rankCorrelation(a.ranks, b.ranks),
    topIou: topShares.map((_, i) => membershipIou(a.tops[i]!, b.tops[i]!)),
    accuracy: accuracyOf(counts),
    f1: f1Of(counts),
  };
}

/** The mean over the tokens for which the measure is defined, and the number of these tokens. */
export interface MeanOf {
  readonly value: number | undefined;
  readonly tokens: number;
}

export interface MeanAgreement {
  /** Number of tokens that have both maps. */
  readonly tokens: number;
  readonly rankCorrelation: MeanOf;
  readonly topIou: readonly MeanOf[];
  readonly accuracy: MeanOf;
  readonly f1: MeanOf;
}

export function agreementOverAnswer(
  run: Pick<RunSnapshot, 'mapOf'>,
  tokenIndices: readonly number[],
  [first, second]: readonly [MethodId, MethodId],
  thresholds: Thresholds,
): MeanAgreement {
  const all: Agreement[] = [];
  for (const index of tokenIndices) {
    const [a, b] = [run.mapOf(index, first), run.mapOf(index, second)];
    if (a === undefined || b === undefined) continue;
    all.push(
      agreementOf(
        { read: readValues(a), threshold: thresholdOf(first, thresholds) },
        { read: readValues(b), threshold: thresholdOf(second, thresholds) },
      ),
    );
  }
  return {
    tokens: all.length,
    rankCorrelation: meanOf(all.map((one) => one.rankCorrelation)),
    topIou: topShares.map((_, i) => meanOf(all.map((one) => one.topIou[i]))),
    accuracy: meanOf(all.map((one) => one.accuracy)),
    f1: meanOf(all.map((one) => one.f1)),
  };
}

function meanOf(values: readonly (number | undefined)[]): MeanOf {
  const defined = values.filter((value) => value !== undefined);
  const sum = defined.reduce((total, value) => total + value, 0);
  return { value: defined.length === 0 ? undefined : sum / defined.length, tokens: defined.length };
}

interface Figures {
  readonly ranks: Float64Array;
  readonly tops: readonly Float64Array[];
}

const cache = new WeakMap<Float32Array, Figures>();

/** Caches the results that need sorting, so a new threshold or another token's map does not sort every map again. */
function figuresOf(read: Float32Array): Figures {
  const cached = cache.get(read);
  if (cached) return cached;
  const figures = {
    ranks: averageRanks(read),
    tops: topShares.map((share) => topMembership(read, share)),
  };
  cache.set(read, figures);
  return figures;
}
