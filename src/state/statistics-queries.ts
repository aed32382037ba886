import { infiniteQueryOptions, queryOptions, skipToken } from '@tanstack/react-query';
import type {
  AnswerValue,
  ChartCounts,
  DistributionRequest,
  Filtered,
  FilterRequest,
  KindsRequest,
  LoadedCalibration,
  RowsPage,
  RowsRequest,
  StatisticsClient,
  ThresholdRequest,
} from '../statistics/api';

/** A calibration held by the worker, and the location of its images. */
export interface OpenCalibration {
  readonly loaded: LoadedCalibration;
  /** Display name: the name of the dataset or of the file. */
  readonly name: string;
  /** Folder that image and sprite-sheet paths are relative to; undefined if the images are not available. */
  readonly folderUrl: string | undefined;
}

/** The query key contains the request, so a result never changes. */
export const fixed = {
  staleTime: Number.POSITIVE_INFINITY,
  structuralSharing: false,
  /** Retries an aborted request: the user may return to a value whose request was superseded. */
  retry: (failures: number, error: Error) => error.name === 'AbortError' && failures < 5,
  retryDelay: 0,
} as const;
/**
 * For requests made while dragging: the result is not kept, but is shown until the next one arrives. Query keys have the
 * table in second place: a result of one table is never shown for another, or for none.
 */
function passingFor(table: number | undefined) {
  return {
    ...fixed,
    gcTime: 0,
    placeholderData: <Result>(
      previous: Result | undefined,
      query: { readonly queryKey: readonly unknown[] } | undefined,
    ) => (table !== undefined && query?.queryKey[1] === table ? previous : undefined),
  };
}

/** A request supersedes an earlier one in the same `slot`. */
export function distributionQuery(
  statistics: StatisticsClient,
  table: number,
  request: DistributionRequest,
  slot: string,
) {
  return queryOptions({
    queryKey: ['distribution', table, slot, request],
    queryFn: () => statistics.compute('distribution', table, request, slot),
    ...passingFor(table),
  });
}

/** Does not run while the table or the request is undefined. */
export function thresholdQuery(
  statistics: StatisticsClient,
  table: number | undefined,
  request: ThresholdRequest | undefined,
  slot: string,
) {
  return queryOptions({
    queryKey: ['threshold', table, slot, request],
    queryFn:
      table === undefined || request === undefined
        ? skipToken
        : () => statistics.compute('threshold', table, request, slot),
    ...passingFor(table),
  });
}

/** The AUROC within kinds of question. A request supersedes an earlier one in the same `slot`. */
export function kindsQuery(
  statistics: StatisticsClient,
  table: number | undefined,
  request: KindsRequest | undefined,
  slot: string,
) {
  return queryOptions({
    queryKey: ['kinds', table, request],
    queryFn:
      table === undefined || request === undefined
        ? skipToken
        : () => statistics.compute('kinds', table, request, slot),
    ...passingFor(table),
  });
}

/** Counts with and without the filter. */
export interface LinkedCounts {
  readonly filtered: Filtered;
  readonly whole: readonly ChartCounts[];
}

export function filterQuery(statistics: StatisticsClient, table: number, request: FilterRequest) {
  const { charts } = request;
  return queryOptions({
    queryKey: ['filter', table, request],
    queryFn: async ({ client }): Promise<LinkedCounts> => {
      const { charts: whole } = await client.fetchQuery({
        queryKey: ['filter', table, { charts, choices: {} }, 'whole'],
        queryFn: () => statistics.compute('filter', table, { charts, choices: {} }),
        ...fixed,
      });
      return { filtered: await statistics.compute('filter', table, request), whole };
    },
    ...passingFor(table),
  });
}

/** Finds which entropy and pooling best separate right from wrong, over all answers. */
export function poolingsQuery(statistics: StatisticsClient, table: number | undefined) {
  return queryOptions({
    queryKey: ['poolings', table],
    // Only AUROC and order are needed; bootstrapping two dozen intervals would take a second.
    queryFn: table === undefined ? skipToken : () => statistics.compute('poolings', table, { resamples: 0 }),
    ...fixed,
  });
}

/** The charts that the table has data for, in display order. */
export function filterCharts(loaded: LoadedCalibration, entropy: AnswerValue, bins: number): FilterRequest['charts'] {
  const { hasLogProbs, hasLengths, kinds, sets } = loaded;
  return [
    { id: 'entropy', value: entropy, bins },
    ...(hasLogProbs ? [{ id: 'logProb', value: { of: 'logProb', pooling: 'mean' }, bins } as const] : []),
    ...(hasLengths ? [{ id: 'length', value: { of: 'length' }, bins } as const] : []),
    { id: 'correct', category: 'correct' },
    ...(sets.length > 1 ? [{ id: 'set', category: 'set' } as const] : []),
    ...(kinds.length > 1 ? [{ id: 'kind', category: 'kind' } as const] : []),
  ];
}

/** Combines brushes and search into one filter over the charts. */
export function filterRequest(
  charts: FilterRequest['charts'],
  { brushes, search }: { readonly brushes: FilterRequest['choices']; readonly search: string },
): FilterRequest {
  return { charts, choices: brushes, ...(search === '' ? {} : { search }) };
}

/** Rows per page of the table. */
const pageRows = 100;

/** Rows that pass `filter`, page by page. */
export function rowsQuery(
  statistics: StatisticsClient,
  table: number,
  filter: FilterRequest,
  request: Omit<RowsRequest, 'filter' | 'offset' | 'limit'>,
) {
  return infiniteQueryOptions({
    queryKey: ['rows', table, filter, request],
    queryFn: ({ pageParam }) =>
      statistics.compute('rows', table, { ...request, filter, offset: pageParam, limit: pageRows }),
    initialPageParam: 0,
    getNextPageParam: ({ total }: RowsPage, pages: readonly RowsPage[]) => {
      const loaded = pages.length * pageRows;
      return loaded < total ? loaded : undefined;
    },
    ...passingFor(table),
  });
}
