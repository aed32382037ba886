import { queryOptions } from '@tanstack/react-query';
import { parseHeadReport } from '../contract/head-report';
import { parseSamplesIndex } from '../contract/samples-index';
import { collectRun } from './run-library';
import type { Services } from './services';

/** Sample files do not change while the page is open. */
const forever = { staleTime: Number.POSITIVE_INFINITY, gcTime: Number.POSITIVE_INFINITY, retry: 1 } as const;

export function samplesIndexQuery({ samplesUrl }: Pick<Services, 'samplesUrl'>) {
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
export function headReportQuery({ modelUrl }: Pick<Services, 'modelUrl'>) {
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
export function recordedRunQuery(services: Services, file: string) {
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

/** The id of the run in the library. */
export async function openRecordedRun(
  { library, openRecorded }: Pick<Services, 'library' | 'openRecorded'>,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const record = await collectRun(library, openRecorded(bytes));
  return record.id;
}

export async function fetchOk(url: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(url, signal ? { signal } : {});
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return response;
}
