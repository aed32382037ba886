import { queryOptions, skipToken } from '@tanstack/react-query';
import { parseAblationReport } from '../contract/ablation-report';
import { parseHeadReport } from '../contract/head-report';
import { parsePhotographsIndex } from '../contract/photographs-index';
import { parseSamplesIndex } from '../contract/samples-index';
import { fetchIfAny, fetchOk } from './fetch-ok';
import { openRecordedRun, type RecordedRuns } from './recorded-runs';

/** Where the page's own files are served; each URL ends with a slash. */
export interface PageFiles {
  /** Folder of the example index and the files it lists. */
  readonly samplesUrl: string;
  /** Folder of the photographs and their index. */
  readonly photographsUrl: string;
  /** Folder of the embedded model. */
  readonly modelUrl: string;
}

/** Example files do not change while the page is open. */
const forever = { staleTime: Number.POSITIVE_INFINITY, gcTime: Number.POSITIVE_INFINITY, retry: 1 } as const;

export function samplesIndexQuery({ samplesUrl }: Pick<PageFiles, 'samplesUrl'>) {
  return queryOptions({
    queryKey: ['samples'],
    queryFn: async ({ signal }) => {
      const response = await fetchOk(`${samplesUrl}index.json`, signal);
      return parseSamplesIndex(await response.json());
    },
    ...forever,
  });
}

export function photographsQuery({ photographsUrl }: Pick<PageFiles, 'photographsUrl'>) {
  return queryOptions({
    queryKey: ['photographs'],
    queryFn: async ({ signal }) => {
      const response = await fetchOk(`${photographsUrl}index.json`, signal);
      return parsePhotographsIndex(await response.json());
    },
    ...forever,
  });
}

/** The report on the embedded head, stored with the model. */
export function headReportQuery({ modelUrl }: Pick<PageFiles, 'modelUrl'>) {
  return queryOptions({
    queryKey: ['head-report'],
    queryFn: async ({ signal }) => {
      const response = await fetchOk(`${modelUrl}report/head.json`, signal);
      return parseHeadReport(await response.json());
    },
    ...forever,
  });
}

/** The report on heads trained with one option changed; null if none is stored with the embedded model. */
export function ablationReportQuery({ modelUrl }: Pick<PageFiles, 'modelUrl'>) {
  return queryOptions({
    queryKey: ['ablation-report'],
    queryFn: async ({ signal }) => {
      const response = await fetchIfAny(`${modelUrl}report/ablations.json`, signal);
      return response ? parseAblationReport(await response.json()) : null;
    },
    ...forever,
  });
}

/** Reads a recorded run into the library; the query caches only its id. */
export function recordedRunQuery(services: RecordedRuns & Pick<PageFiles, 'samplesUrl'>, file: string | undefined) {
  return queryOptions({
    queryKey: ['recorded-run', file],
    queryFn:
      file === undefined
        ? skipToken
        : async ({ signal }) => {
            const response = await fetchOk(`${services.samplesUrl}${file}`, signal);
            const bytes = new Uint8Array(await response.arrayBuffer());
            return openRecordedRun(services, bytes);
          },
    ...forever,
  });
}
