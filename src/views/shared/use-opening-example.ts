import { useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import type { SampleRun } from '../../contract/samples-index';
import { useChoices } from '../../state/choices';
import { useIntake } from '../../state/image-intake';
import { type Keeping, useKeeping } from '../../state/kept-runs';
import { recordedRunQuery, samplesIndexQuery } from '../../state/sample-queries';
import { selectionInAddress } from '../../state/token-address';
import { useViewSettings } from '../../state/view-settings';
import { useServices } from './services-context';

const selectIsRestoring = ({ isRestoring }: Keeping) => isRestoring;

export interface OpeningExample {
  /** Available before the run itself has been read. */
  readonly entry: SampleRun | undefined;
  /** Run id, once the run has been read. */
  readonly id: string | undefined;
  readonly error: Error | null;
  /** Reads what could not be read again. */
  retry(): void;
}

/** Whether the page opens with an image to ask about. A link to a recorded run shows that run with any source. */
export function useOpensWithImage(): boolean {
  const { source } = useServices();
  const [{ run: file }] = useViewSettings();
  return source.opensWith === 'image' && file === null;
}

/**
 * Shows the URL's recorded run and tokens once the run has loaded, unless the page opens with an image, or the user has
 * already opened another run or returns to an answer of this visit.
 */
export function useOpeningExample(): OpeningExample {
  const services = useServices();
  const [{ run: file }] = useViewSettings();
  const isDue = !useOpensWithImage();
  const index = useQuery({ ...samplesIndexQuery(services), enabled: isDue });
  const entry = isDue ? (index.data?.runs.find((run) => run.file === file) ?? index.data?.runs[0]) : undefined;
  const run = useQuery(recordedRunQuery(services, entry?.file));
  const id = run.data;
  const isRestoring = useKeeping(selectIsRestoring);
  useEffect(() => {
    const { runId, showRun, select } = useChoices.getState();
    if (id === undefined || runId !== undefined || isRestoring) return;
    const tokenCount = services.library.get(id)?.snapshot().tokens.length ?? 0;
    showRun(id);
    select(selectionInAddress(location.search, tokenCount) ?? { kind: 'auto' });
  }, [id, isRestoring, services]);
  const error = index.error ?? run.error;
  const isOpening = isRestoring || (id === undefined && error === null);
  // After the effect above, so that a waiting question finds the example.
  useEffect(() => {
    if (isDue) useIntake.setState({ isOpening });
  }, [isDue, isOpening]);
  const retry = () => {
    if (index.error) void index.refetch();
    if (run.error) void run.refetch();
  };
  return { entry, id, error, retry };
}
