import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import type {
  AnswerValue,
  ChartCounts,
  DistributionRequest,
  Filtered,
  FilterRequest,
  LoadedCalibration,
  RowsPage,
  RowsRequest,
  StatisticsClient,
  ThresholdRequest,
} from '../statistics/api';

/** A calibration that the worker holds, and where its pictures lie. */
export interface OpenCalibration {
  readonly loaded: LoadedCalibration;
  /** As it is named to the user: its data's own name, or the file's. */
  readonly name: string;
  /** Of the folder that images and sprite sheet are relative to; undefined where they are not to be had. */
  readonly folderUrl: string | undefined;
}

/** Where each request is the key, the answer never changes. What is asked while dragging is not worth keeping. */
export const fixed = {
  staleTime: Number.POSITIVE_INFINITY,
  structuralSharing: false,
  /** What a later request took the place of may be wanted again: the user moved back before it was done. */
  retry: (failures: number, error: Error) => error.name === 'AbortError' && failures < 5,
  retryDelay: 0,
} as const;
const passing = { ...fixed, gcTime: 0, placeholderData: keepPreviousData } as const;

/** `slot`: one slot's later request takes the place of its earlier one, and of no other's. */
export function distributionQuery(
  statistics: StatisticsClient,
  table: number,
  request: DistributionRequest,
  slot: string,
) {
  return queryOptions({
    queryKey: ['distribution', slot, table, request],
    queryFn: () => statistics.distribution(table, request, slot),
    ...passing,
  });
}

export function thresholdQuery(statistics: StatisticsClient, table: number, request: ThresholdRequest, slot: string) {
  return queryOptions({
    queryKey: ['threshold', slot, table, request],
    queryFn: () => statistics.threshold(table, request, slot),
    ...passing,
  });
}

/** What a filter leaves, and what there is under none. */
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
        queryFn: () => statistics.filter(table, { charts, choices: {} }),
        ...fixed,
      });
      return { filtered: await statistics.filter(table, request), whole };
    },
    ...passing,
  });
}

/** Which entropy and pooling separate best, over all answers. */
export function poolingsQuery(statistics: StatisticsClient, table: number) {
  return queryOptions({
    queryKey: ['poolings', table],
    // Only their order and size are wanted: two dozen intervals would take a second.
    queryFn: () => statistics.poolings(table, { resamples: 0 }),
    ...fixed,
  });
}

/** In the order in which the charts stand, as far as the table has what they show. */
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

/** What brushes and search leave, over the charts. */
export function filterRequest(
  charts: FilterRequest['charts'],
  { brushes, search }: { readonly brushes: FilterRequest['choices']; readonly search: string },
): FilterRequest {
  return { charts, choices: brushes, ...(search === '' ? {} : { search }) };
}

/** Rows a page of the table. */
const pageRows = 100;

/** What `filter` leaves, page by page. */
export function rowsQuery(
  statistics: StatisticsClient,
  table: number,
  filter: FilterRequest,
  request: Omit<RowsRequest, 'filter' | 'offset' | 'limit'>,
) {
  return infiniteQueryOptions({
    queryKey: ['rows', table, filter, request],
    queryFn: ({ pageParam }) => statistics.rows(table, { ...request, filter, offset: pageParam, limit: pageRows }),
    initialPageParam: 0,
    getNextPageParam: ({ total }: RowsPage, pages: readonly RowsPage[]) => {
      const loaded = pages.length * pageRows;
      return loaded < total ? loaded : undefined;
    },
    ...passing,
  });
}
