import { queryOptions, skipToken } from '@tanstack/react-query';
import { type CalibrationFacts, fitOf } from '../contract/calibration';
import type { TableEntropy } from '../contract/calibration-table';
import { isCut } from '../contract/run';
import { contentTokens } from '../math/statistics/content-tokens';
import { poolTokens } from '../math/statistics/pooling';
import type { AnswersLike, LikeRequest, MapEntropies, StatisticsClient } from '../statistics/api';
import type { RunSnapshot } from './run-record';
import { fixed } from './statistics-queries';
import type { EntropyValue } from './trust-choices';

/** Whether an answer can be compared with a calibration, and if not, why. */
export type Comparable =
  | { readonly kind: 'yes' }
  /** Not known yet. */
  | { readonly kind: 'waiting'; readonly why: string }
  /** `isMakeable`: another calibration would help. */
  | { readonly kind: 'no'; readonly why: string; readonly isMakeable: boolean };

/** Applies the checks that depend only on the answer. */
export function answerIsComparable(run: RunSnapshot): Comparable {
  const no = (why: string) => ({ kind: 'no', why, isMakeable: false }) as const;
  const { header, tokens, end } = run;
  if (header.head === undefined) return no('The comparison with scored answers needs FastRM maps.');
  if (end === undefined) return { kind: 'waiting', why: 'Available when the answer is complete.' };
  if (isCut(end) || tokens.length === 0)
    return no('This answer is incomplete and cannot be compared with complete answers.');
  const missing = tokens.filter(({ index }) => run.mapOf(index) === undefined).length;
  if (missing > 0)
    return no(`There is no map for ${missing} of ${tokens.length} tokens, so the answer’s entropy is unknown.`);
  return { kind: 'yes' };
}

/** `isKnownImage`: whether the image belongs to the dataset that the calibration was measured on. */
export function calibrationFits(
  facts: CalibrationFacts | undefined,
  { header }: RunSnapshot,
  { patches, isKnownImage }: { readonly patches: number; readonly isKnownImage: boolean },
): Comparable {
  const no = (why: string) => ({ kind: 'no', why, isMakeable: true }) as const;
  if (facts === undefined) return no('The loaded table does not name its model and head.');
  const fit = fitOf(facts, header);
  if (!fit.fits) return no(fit.reason);
  if (facts.patches !== null && facts.patches !== patches)
    return no(
      `The calibration’s maps have ${facts.patches} patches and this answer’s have ${patches}; entropy grows with the number of patches.`,
    );
  if (!isKnownImage)
    return no(`No figures for your own image: the calibration was measured on ${facts.data.name} only.`);
  return { kind: 'yes' };
}

/** The entropy of each token's FastRM map. */
export function tokenEntropiesQuery(statistics: StatisticsClient, run: RunSnapshot) {
  // Count FastRM maps only: other methods' maps do not affect these entropies.
  const mapCount = run.tokens.filter(({ index }) => run.mapOf(index) !== undefined).length;
  return queryOptions({
    queryKey: ['token-entropies', run.header.id, run.tokens.length, mapCount],
    queryFn: async (): Promise<MapEntropies> => {
      const maps = run.tokens.map(({ index }) => run.mapOf(index)?.values);
      const patches = maps.find((map) => map !== undefined)?.length ?? 0;
      const all = new Float32Array(maps.length * patches).fill(Number.NaN);
      for (const [token, map] of maps.entries()) if (map) all.set(map, token * patches);
      return statistics.entropies(all, maps.length);
    },
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    structuralSharing: false,
  });
}

/** The answer's pooled entropy. NaN if the kind of entropy in the table is not known. */
export function answerEntropy(
  entropies: MapEntropies,
  { tokens }: RunSnapshot,
  { kind, pooling }: EntropyValue,
): number {
  if (kind === 'given') return Number.NaN;
  return poolTokens(entropies[kind], contentTokens(tokens), pooling);
}

/**
 * Why an answer cannot be compared with a calibration that fits it; undefined if it can be, or if this is not known
 * yet.
 */
export function comparisonProblem(
  kind: TableEntropy | undefined,
  entropyNats: number | undefined,
  error: Error | undefined,
): string | undefined {
  if (error) return `The comparison failed: ${error.message.replace(/\.$/, '')}.`;
  if (kind === 'given')
    return 'The calibration does not say how its entropy was computed, so this answer cannot be compared with it.';
  if (entropyNats !== undefined && Number.isNaN(entropyNats))
    return 'The entropy of this answer’s maps is not a number, so it cannot be compared.';
  return undefined;
}

export function answerLogProb({ tokens }: RunSnapshot): number {
  return poolTokens(
    tokens.map(({ logProb }) => logProb),
    undefined,
    'mean',
  );
}

/** Answers like this one, by entropy and by log-probability. */
export interface LikeBoth {
  readonly entropy: AnswersLike;
  readonly logProb: AnswersLike | undefined;
}

export function likeBothQuery(
  statistics: StatisticsClient,
  table: number | undefined,
  entropy: LikeRequest | undefined,
  logProb: LikeRequest | undefined,
) {
  return queryOptions({
    queryKey: ['like', table, entropy, logProb],
    queryFn:
      table === undefined || entropy === undefined
        ? skipToken
        : async (): Promise<LikeBoth> => {
            const [likeEntropy, likeLogProb] = await Promise.all([
              statistics.compute('like', table, entropy, 'entropy'),
              logProb && statistics.compute('like', table, logProb, 'log-prob'),
            ]);
            return { entropy: likeEntropy, logProb: likeLogProb };
          },
    ...fixed,
  });
}
