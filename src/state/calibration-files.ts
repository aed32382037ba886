import { type QueryClient, queryOptions, skipToken } from '@tanstack/react-query';
import { create } from 'zustand';
import type { StatisticsClient } from '../statistics/api';
import { reasonOf } from '../text/reason-of';
import { tooManyFiles } from '../text/too-many-files';
import { fetchOk } from './fetch-ok';
import { forgetFile, keepFile, keptFile, keptName } from './kept-file';
import type { OpenCalibration } from './statistics-queries';
import { tabStorage } from './tab-storage';
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
  /** Whether reloading the page loses the table in use, because it is too large to keep. */
  readonly isUnkept: boolean;
  readonly file: ChosenFile;
}

/** State of the most recently chosen file. */
type ChosenFile =
  | { readonly phase: 'none' }
  | { readonly phase: 'reading'; readonly name: string }
  /** Reading failed, or the worker died and lost an open table. */
  | { readonly phase: 'failed'; readonly reason: string };

const noFile: ChosenFile = { phase: 'none' };

export const useOwnCalibration = create<OwnCalibration>(() => ({ open: undefined, isUnkept: false, file: noFile }));

let turn = 0;

/** Limits reloads: a calibration that crashes the worker on loading would otherwise be reloaded in an endless loop. */
const maxReloads = 3;
let reloads = 0;

/** Loads the file of a drop; if there are several, loads none and says so. */
export function takeCalibrationFiles(statistics: StatisticsClient, files: readonly File[]): void {
  const [file, second] = files;
  if (second === undefined) {
    if (file) void takeCalibrationFile(statistics, file);
    return;
  }
  turn += 1;
  const reason = tooManyFiles(files.length, 'table of answers');
  useOwnCalibration.setState({ file: { phase: 'failed', reason } });
}

/** Loads a calibration file and keeps it for this visit. If several are chosen, the last one wins. */
export async function takeCalibrationFile(
  statistics: StatisticsClient,
  file: File,
  storage = tabStorage(),
): Promise<void> {
  const ownTurn = await openFile(statistics, file, 'was not loaded');
  if (ownTurn !== turn) return;
  const isKept = await keepFile(storage, file).catch(() => false);
  // A later choice or return to the model's calibration decides what is kept.
  if (ownTurn === turn) useOwnCalibration.setState({ isUnkept: !isKept });
  else if (useOwnCalibration.getState().open === undefined) forgetFile(storage);
}

/** Opens the table that this visit kept before the page was reloaded, if there is one. */
export async function restoreCalibrationFile(statistics: StatisticsClient, storage = tabStorage()): Promise<void> {
  const name = keptName(storage);
  if (name === undefined) return;
  useOwnCalibration.setState({ file: { phase: 'reading', name } });
  try {
    const file = await keptFile(storage);
    if (file === undefined || turn > 0) return;
    await openFile(statistics, file, 'could not be opened again');
  } catch (error) {
    forgetFile(storage);
    useOwnCalibration.setState({
      file: { phase: 'failed', reason: `${name} could not be opened again. ${reasonOf(error)} Load it again.` },
    });
  }
}

/** Returns the turn in which the file was opened; undefined if it was not. */
async function openFile(statistics: StatisticsClient, file: File, failure: string): Promise<number | undefined> {
  turn += 1;
  const ownTurn = turn;
  useOwnCalibration.setState({ file: { phase: 'reading', name: file.name } });
  try {
    const loaded = await statistics.load({ name: file.name, bytes: await file.arrayBuffer() });
    if (ownTurn !== turn) {
      statistics.close(loaded.table);
      return undefined;
    }
    const previous = useOwnCalibration.getState().open;
    const open = { loaded, name: file.name, folderUrl: undefined };
    useOwnCalibration.setState({ open, isUnkept: false, file: noFile });
    useTrustChoices.getState().startOver();
    if (previous) statistics.close(previous.loaded.table);
    return ownTurn;
  } catch (error) {
    if (ownTurn !== turn) return undefined;
    const reason = `${file.name} ${failure}. ${reasonOf(error)}`;
    useOwnCalibration.setState({ file: { phase: 'failed', reason } });
    return undefined;
  }
}

/**
 * Stops reading the chosen file. Damaged files can keep a decompressor busy for ever, which only ending the worker
 * stops. That closes the user's open table; the model's is read again.
 */
export function stopReading(statistics: StatisticsClient): void {
  const { file, open } = useOwnCalibration.getState();
  if (file.phase !== 'reading') return;
  // Not one of the deaths that `maxReloads` limits.
  reloads = 0;
  statistics.stop(open ? `You stopped reading it, which also closed ${open.name}.` : 'You stopped reading it.');
}

/** Returns to the calibration that ships with the model. */
export function dropOwnCalibration(statistics: StatisticsClient, storage = tabStorage()): void {
  turn += 1;
  forgetFile(storage);
  const { open } = useOwnCalibration.getState();
  useOwnCalibration.setState({ open: undefined, isUnkept: false, file: noFile });
  useTrustChoices.getState().startOver();
  if (open) statistics.close(open.loaded.table);
}

/**
 * Call this after the statistics worker has died and lost all its tables. Reloads the model's calibration; the user
 * must choose their own file again.
 */
export function forgetCalibrations(queries: QueryClient, storage = tabStorage()): void {
  // The file may be what the worker died of.
  forgetFile(storage);
  const { open } = useOwnCalibration.getState();
  if (open) {
    const reason = `${open.name} was lost when the statistics worker failed. Load it again.`;
    useOwnCalibration.setState({ open: undefined, isUnkept: false, file: { phase: 'failed', reason } });
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
