import { queryOptions } from '@tanstack/react-query';
import { parseHeadReport } from '../contract/head-report';
import { parseSamplesIndex } from '../contract/samples-index';
import { fetchOk } from './fetch-ok';
import { openRecordedRun, type RecordedRuns } from './recorded-runs';

/** Where the page's own files are served; each URL ends with a slash. */
export interface PageFiles {
  /** The sample index and the files that it names. */
  readonly samplesUrl: string;
  /** The embedded model's folder. */
  readonly modelUrl: string;
}

/** Sample files do not change while the page is open. */
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

/** The embedded head's own figures, which lie beside the model. */
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

/** Reads a recorded run into the library; the query itself holds no more than its id. */
export function recordedRunQuery(services: RecordedRuns & Pick<PageFiles, 'samplesUrl'>, file: string) {
  return queryOptions({
    queryKey: ['recorded-run', file],
    queryFn: async ({ signal }) => {
      const response = await fetchOk(`${services.samplesUrl}${file}`, signal);
      const bytes = new Uint8Array(await response.arrayBuffer());
      return openRecordedRun(services, bytes);
    },
    ...forever,
  });
}
