import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import type { SampleRun } from '../contract/samples-index';
import { useChoices } from '../state/choices';
import { recordedRunQuery, samplesIndexQuery } from '../state/sample-queries';
import { useViewSettings } from '../state/view-settings';
import { useServices } from './services-context';

export interface OpeningExample {
  /** Known before the run itself has been read. */
  readonly entry: SampleRun | undefined;
  readonly error: Error | null;
}

/** Shows a recorded run as soon as it is there, unless the user was faster. */
export function useOpeningExample(): OpeningExample {
  const services = useServices();
  const [{ run: wanted }] = useViewSettings();
  const index = useQuery(samplesIndexQuery(services));
  const entry = index.data?.runs.find((run) => run.file === wanted) ?? index.data?.runs[0];
  const run = useQuery({ ...recordedRunQuery(services, entry?.file ?? ''), enabled: entry !== undefined });
  const id = run.data;
  useEffect(() => {
    if (id !== undefined && useChoices.getState().runId === undefined) useChoices.getState().showRun(id);
  }, [id]);
  return { entry, error: index.error ?? run.error };
}
