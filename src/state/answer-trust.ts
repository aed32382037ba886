import { queryOptions } from '@tanstack/react-query';
import { type CalibrationFacts, fitOf } from '../contract/calibration';
import type { TableEntropy } from '../contract/calibration-table';
import { isCut } from '../contract/run';
import { contentTokens } from '../math/statistics/content-tokens';
import { poolTokens } from '../math/statistics/pooling';
import type { AnswersLike, LikeRequest, MapEntropies, StatisticsClient } from '../statistics/api';
import type { RunRecord, RunSnapshot } from './run-record';
import { fixed } from './statistics-queries';
import type { EntropyValue } from './trust-choices';

/** Whether an answer can be read against a calibration; else why not, in a sentence. */
export type Comparable =
  | { readonly kind: 'yes' }
  /** Soon. */
  | { readonly kind: 'waiting'; readonly why: string }
  /** `isMakeable`: another calibration would help. */
  | { readonly kind: 'no'; readonly why: string; readonly isMakeable: boolean };

/** What can be told of the answer alone. */
export function answerIsComparable(run: RunSnapshot, mapOf: RunRecord['mapOf']): Comparable {
  const no = (why: string) => ({ kind: 'no', why, isMakeable: false }) as const;
  const { header, tokens, end } = run;
  if (header.head === undefined) return no('This answer has no maps, and so no entropy to judge it by.');
  if (end === undefined) return { kind: 'waiting', why: 'It is told once the answer is whole.' };
  if (isCut(end) || tokens.length === 0)
    return no('This answer was not finished, and a part cannot be compared with whole answers.');
  const missing = tokens.filter(({ index }) => mapOf(index) === undefined).length;
  if (missing > 0)
    return no(`${missing} of ${tokens.length} tokens have no map, so the answer’s entropy is not known.`);
  return { kind: 'yes' };
}

/** Whether the calibration is of answers like these at all. `isKnownImage`: the picture is one of those it was made for. */
export function calibrationFits(
  facts: CalibrationFacts | undefined,
  { header }: RunSnapshot,
  { patches, isKnownImage }: { readonly patches: number; readonly isKnownImage: boolean },
): Comparable {
  const no = (why: string) => ({ kind: 'no', why, isMakeable: true }) as const;
  if (facts === undefined) return no('The table that was loaded does not say of which model and head it is.');
  const fit = fitOf(facts, header);
  if (!fit.fits) return no(fit.reason);
  if (facts.patches !== null && facts.patches !== patches)
    return no(
      `The calibration is of maps of ${facts.patches} patches; this answer’s have ${patches}, and entropy grows with their number.`,
    );
  if (!isKnownImage)
    return no(
      `The calibration is of ${facts.data.name}. This picture is your own: whether it is of that kind the page cannot tell, so what held there need not hold here.`,
    );
  return { kind: 'yes' };
}

/** Of each token's FastRM map, token by token. The maps stay in the record. */
export function tokenEntropiesQuery(statistics: StatisticsClient, record: RunRecord, run: RunSnapshot) {
  // Other methods' maps come and go while FastRM's stay as they are.
  const mapCount = run.tokens.filter(({ index }) => record.mapOf(index) !== undefined).length;
  return queryOptions({
    queryKey: ['token-entropies', record.id, run.tokens.length, mapCount],
    queryFn: async (): Promise<MapEntropies> => {
      const maps = run.tokens.map(({ index }) => record.mapOf(index)?.values);
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

/** The answer's one number of its tokens' entropies. NaN where the table's entropy is of no known kind. */
export function answerEntropy(
  entropies: MapEntropies,
  { tokens }: RunSnapshot,
  { kind, pooling }: EntropyValue,
): number {
  if (kind === 'given') return Number.NaN;
  return poolTokens(entropies[kind], contentTokens(tokens), pooling);
}

/** Why an answer whose calibration fits is compared with none of it; undefined where that may yet come. */
export function whyUncompared(
  kind: TableEntropy | undefined,
  entropyNats: number | undefined,
  error: Error | undefined,
): string | undefined {
  if (error) return `It could not be compared: ${error.message.replace(/\.$/, '')}.`;
  if (kind === 'given')
    return 'The calibration does not say how its entropy was computed, so this answer’s cannot be compared with it.';
  if (entropyNats !== undefined && !Number.isFinite(entropyNats))
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

export interface LikeBoth {
  readonly entropy: AnswersLike;
  readonly logProb: AnswersLike | undefined;
}

export function likeBothQuery(
  statistics: StatisticsClient,
  table: number,
  entropy: LikeRequest,
  logProb: LikeRequest | undefined,
) {
  return queryOptions({
    queryKey: ['like', table, entropy, logProb],
    queryFn: async (): Promise<LikeBoth> => {
      const [ofEntropy, ofLogProb] = await Promise.all([
        statistics.like(table, entropy, 'entropy'),
        logProb && statistics.like(table, logProb, 'log-prob'),
      ]);
      return { entropy: ofEntropy, logProb: ofLogProb };
    },
    ...fixed,
  });
}
