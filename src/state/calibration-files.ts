import { type QueryClient, queryOptions, skipToken } from '@tanstack/react-query';
import { create } from 'zustand';
import type { StatisticsClient } from '../statistics/api';
import { reasonOf } from '../text/reason-of';
import { fetchOk } from './fetch-ok';
import type { OpenCalibration } from './statistics-queries';
import { useTrustChoices } from './trust-choices';

/** The calibration that ships with the model, at `url`; `url` is undefined if there is none. */
export function calibrationQuery(statistics: StatisticsClient, url: string | undefined) {
  return queryOptions({
    queryKey: ['calibration', url],
    queryFn: url === undefined ? skipToken : ({ signal }) => loadCalibration(statistics, url, signal),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
}

async function loadCalibration(
  statistics: StatisticsClient,
  url: string,
  signal: AbortSignal,
): Promise<OpenCalibration> {
  const response = await fetchOk(url, signal);
  const bytes = await response.arrayBuffer();
  const name = url.slice(url.lastIndexOf('/') + 1).replace(/\?.*/, '');
  const loaded = await statistics.load({ name, bytes });
  return { loaded, name: loaded.facts?.data.name ?? name, folderUrl: url.slice(0, url.lastIndexOf('/') + 1) };
}

/** The user's own calibration file, which replaces the model's. */
export interface OwnCalibration {
  /** The table in use; kept while another file is being read, and if reading that file fails. */
  readonly open: OpenCalibration | undefined;
  readonly file: ChosenFile;
}

/** State of the most recently chosen file. */
type ChosenFile =
  | { readonly phase: 'none' }
  | { readonly phase: 'reading'; readonly name: string }
  /** Reading failed, or the worker died and lost an open table. */
  | { readonly phase: 'failed'; readonly reason: string };

const noFile: ChosenFile = { phase: 'none' };

export const useOwnCalibration = create<OwnCalibration>(() => ({ open: undefined, file: noFile }));

let turn = 0;

/** Loads a calibration file. If several are chosen, the last one wins. */
export async function takeCalibrationFile(statistics: StatisticsClient, file: File): Promise<void> {
  turn += 1;
  const ownTurn = turn;
  useOwnCalibration.setState({ file: { phase: 'reading', name: file.name } });
  try {
    const loaded = await statistics.load({ name: file.name, bytes: await file.arrayBuffer() });
    if (ownTurn !== turn) return statistics.close(loaded.table);
    const previous = useOwnCalibration.getState().open;
    useOwnCalibration.setState({ open: { loaded, name: file.name, folderUrl: undefined }, file: noFile });
    useTrustChoices.getState().startOver();
    if (previous) statistics.close(previous.loaded.table);
  } catch (error) {
    if (ownTurn !== turn) return;
    const reason = `${file.name} was not loaded. ${reasonOf(error)}`;
    useOwnCalibration.setState({ file: { phase: 'failed', reason } });
  }
}

/** Returns to the calibration that ships with the model. */
export function dropOwnCalibration(statistics: StatisticsClient): void {
  turn += 1;
  const { open } = useOwnCalibration.getState();
  useOwnCalibration.setState({ open: undefined, file: noFile });
  useTrustChoices.getState().startOver();
  if (open) statistics.close(open.loaded.table);
}

/** Limits reloads: a calibration that crashes the worker on loading would otherwise be reloaded in an endless loop. */
const maxReloads = 3;
let reloads = 0;

/**
 * Call this after the statistics worker has died and lost all its tables. Reloads the model's calibration; the user
 * must choose their own file again.
 */
export function forgetCalibrations(queries: QueryClient): void {
  const { open } = useOwnCalibration.getState();
  if (open) {
    const reason = `${open.name} was lost when the statistics worker failed. Load it again.`;
    useOwnCalibration.setState({ open: undefined, file: { phase: 'failed', reason } });
    useTrustChoices.getState().startOver();
  }
  reloads += 1;
  // In-flight loads report their own failure.
  const filters = {
    queryKey: ['calibration'],
    predicate: ({ state }: { state: { status: string } }) => state.status === 'success',
  };
  if (reloads <= maxReloads) void queries.resetQueries(filters);
  else queries.removeQueries(filters);
}
