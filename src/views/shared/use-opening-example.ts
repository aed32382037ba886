import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import type { SampleRun } from '../../contract/samples-index';
import { useChoices } from '../../state/choices';
import { recordedRunQuery, samplesIndexQuery } from '../../state/sample-queries';
import { selectionInAddress } from '../../state/token-address';
import { useViewSettings } from '../../state/view-settings';
import { useServices } from './services-context';

export interface OpeningExample {
  /** Known before the run itself has been read. */
  readonly entry: SampleRun | undefined;
  /** Of its run, once that has been read. */
  readonly id: string | undefined;
  readonly error: Error | null;
}

/** Shows the address's recorded run and tokens as soon as they are there, unless the user was faster. */
export function useOpeningExample(): OpeningExample {
  const services = useServices();
  const [{ run: wanted }] = useViewSettings();
  const index = useQuery(samplesIndexQuery(services));
  const entry = index.data?.runs.find((run) => run.file === wanted) ?? index.data?.runs[0];
  const run = useQuery({ ...recordedRunQuery(services, entry?.file ?? ''), enabled: entry !== undefined });
  const id = run.data;
  useEffect(() => {
    const { runId, showRun, select } = useChoices.getState();
    if (id === undefined || runId !== undefined) return;
    const tokenCount = services.library.get(id)?.snapshot().tokens.length ?? 0;
    showRun(id);
    select(selectionInAddress(location.search, tokenCount) ?? { kind: 'auto' });
  }, [id, services]);
  return { entry, id, error: index.error ?? run.error };
}
