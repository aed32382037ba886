import { type QueryClient, queryOptions, skipToken } from '@tanstack/react-query';
import { create } from 'zustand';
import type { StatisticsClient } from '../statistics/api';
import { reasonOf } from '../text/reason-of';
import { fetchOk } from './fetch-ok';
import type { OpenCalibration } from './statistics-queries';
import { useTrustChoices } from './trust-choices';

/** The calibration that comes with the model, at `url`; undefined if it comes with none. */
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

/** A table of the user's own, in the place of the one that comes with the model. */
export interface OwnCalibration {
  /** The table in use; it stays while another file is read, and if that one cannot be. */
  readonly open: OpenCalibration | undefined;
  readonly file: ChosenFile;
}

/** The file that was chosen last. */
type ChosenFile =
  | { readonly phase: 'none' }
  | { readonly phase: 'reading'; readonly name: string }
  /** Also where it was open and the worker lost it. */
  | { readonly phase: 'failed'; readonly reason: string };

const noFile: ChosenFile = { phase: 'none' };

export const useOwnCalibration = create<OwnCalibration>(() => ({ open: undefined, file: noFile }));

let turn = 0;

/** The file chosen last is the one shown. */
export async function takeCalibrationFile(statistics: StatisticsClient, file: File): Promise<void> {
  turn += 1;
  const ownTurn = turn;
  useOwnCalibration.setState({ file: { phase: 'reading', name: file.name } });
  try {
    const loaded = await statistics.load({ name: file.name, bytes: await file.arrayBuffer() });
    if (ownTurn !== turn) return statistics.close(loaded.table);
    const former = useOwnCalibration.getState().open;
    useOwnCalibration.setState({ open: { loaded, name: file.name, folderUrl: undefined }, file: noFile });
    useTrustChoices.getState().startOver();
    if (former) statistics.close(former.loaded.table);
  } catch (error) {
    if (ownTurn !== turn) return;
    const reason = `${file.name} was not loaded. ${reasonOf(error)}`;
    useOwnCalibration.setState({ file: { phase: 'failed', reason } });
  }
}

/** Back to the calibration that comes with the model. */
export function dropOwnCalibration(statistics: StatisticsClient): void {
  turn += 1;
  const { open } = useOwnCalibration.getState();
  useOwnCalibration.setState({ open: undefined, file: noFile });
  useTrustChoices.getState().startOver();
  if (open) statistics.close(open.loaded.table);
}

/** A reload that brings the worker down again would bring it down for ever. */
const maxReloads = 3;
let reloads = 0;

/** The statistics' worker is gone, and every table with it: the model's own is loaded again, a file has to be chosen again. */
export function forgetCalibrations(queries: QueryClient): void {
  const { open } = useOwnCalibration.getState();
  if (open) {
    const reason = `${open.name} was lost when the statistics worker failed. Load it again.`;
    useOwnCalibration.setState({ open: undefined, file: { phase: 'failed', reason } });
    useTrustChoices.getState().startOver();
  }
  reloads += 1;
  // What is still loading is told by itself that it failed.
  const filters = {
    queryKey: ['calibration'],
    predicate: ({ state }: { state: { status: string } }) => state.status === 'success',
  };
  if (reloads <= maxReloads) void queries.resetQueries(filters);
  else queries.removeQueries(filters);
}
