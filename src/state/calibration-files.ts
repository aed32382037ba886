import { type QueryClient, queryOptions } from '@tanstack/react-query';
import { create } from 'zustand';
import type { StatisticsClient } from '../statistics/api';
import { fetchOk } from './fetch-ok';
import type { OpenCalibration } from './statistics-queries';
import { useTrustChoices } from './trust-choices';

/** The calibration that comes with the model, at `url`. */
export function calibrationQuery(statistics: StatisticsClient, url: string) {
  return queryOptions({
    queryKey: ['calibration', url],
    queryFn: async ({ signal }): Promise<OpenCalibration> => {
      const response = await fetchOk(url, signal);
      const bytes = await response.arrayBuffer();
      const name = url.slice(url.lastIndexOf('/') + 1).replace(/\?.*/, '');
      const loaded = await statistics.load({ name, bytes });
      return { loaded, name: loaded.facts?.data.name ?? name, folderUrl: url.slice(0, url.lastIndexOf('/') + 1) };
    },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
}

/** A table of the user's own, in the place of the one that comes with the model. */
export interface OwnCalibration {
  readonly open: OpenCalibration | undefined;
  /** Name of the file that is being read. */
  readonly reading: string | undefined;
  /** Why the file chosen last could not be read; what was there before it stays. */
  readonly problem: string | undefined;
}

const none: OwnCalibration = { open: undefined, reading: undefined, problem: undefined };

export const useOwnCalibration = create<OwnCalibration>(() => none);

let turn = 0;

/** The file chosen last is the one shown; one that cannot be read changes nothing but the problem that is said. */
export async function takeCalibrationFile(statistics: StatisticsClient, file: File): Promise<void> {
  turn += 1;
  const mine = turn;
  useOwnCalibration.setState({ reading: file.name, problem: undefined });
  try {
    const loaded = await statistics.load({ name: file.name, bytes: await file.arrayBuffer() });
    if (mine !== turn) return statistics.close(loaded.table);
    const former = useOwnCalibration.getState().open;
    useOwnCalibration.setState({ open: { loaded, name: file.name, folderUrl: undefined }, reading: undefined });
    useTrustChoices.getState().startOver();
    if (former) statistics.close(former.loaded.table);
  } catch (error) {
    if (mine !== turn) return;
    const reason = error instanceof Error ? error.message : String(error);
    useOwnCalibration.setState({ reading: undefined, problem: `${file.name} was not loaded. ${reason}` });
  }
}

/** Back to the calibration that comes with the model. */
export function dropOwnCalibration(statistics: StatisticsClient): void {
  turn += 1;
  const { open } = useOwnCalibration.getState();
  useOwnCalibration.setState(none);
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
    useOwnCalibration.setState({
      open: undefined,
      problem: `The page lost ${open.name} when its statistics broke off: load it again.`,
    });
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
