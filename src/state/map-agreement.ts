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
import type { RunRecord } from './run-record';

export const topShares = [0.05, 0.1, 0.2] as const;

/** How far two maps agree; undefined where a measure is not defined for them. */
export interface Agreement {
  readonly rankCorrelation: number | undefined;
  /** One a share of `topShares`. */
  readonly topIou: readonly (number | undefined)[];
  readonly accuracy: number | undefined;
  readonly f1: number | undefined;
}

/** Values as their threshold reads them, all of one map or of one frame. */
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

/** The mean over those tokens for which the measure is defined, and how many they are. */
export interface MeanOf {
  readonly value: number | undefined;
  readonly tokens: number;
}

export interface MeanAgreement {
  /** Tokens that have both maps. */
  readonly tokens: number;
  readonly rankCorrelation: MeanOf;
  readonly topIou: readonly MeanOf[];
  readonly accuracy: MeanOf;
  readonly f1: MeanOf;
}

export function agreementOverAnswer(
  record: Pick<RunRecord, 'mapOf'>,
  tokenIndices: readonly number[],
  [first, second]: readonly [MethodId, MethodId],
  thresholds: Thresholds,
): MeanAgreement {
  const all: Agreement[] = [];
  for (const index of tokenIndices) {
    const [a, b] = [record.mapOf(index, first), record.mapOf(index, second)];
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

const known = new WeakMap<Float32Array, Figures>();

/** What takes sorting, once a map: a threshold that moves, or another token's map that comes, must not sort all again. */
function figuresOf(read: Float32Array): Figures {
  const before = known.get(read);
  if (before) return before;
  const figures = {
    ranks: averageRanks(read),
    tops: topShares.map((share) => topMembership(read, share)),
  };
  known.set(read, figures);
  return figures;
}
