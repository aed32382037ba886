import type { RunEvent } from '../contract/run';
import { collectRun, type RunLibrary } from './run-library';

/** Where recorded runs go, and how their bytes are read. */
export interface RecordedRuns {
  readonly library: RunLibrary;
  openRecorded(bytes: Uint8Array<ArrayBuffer>): AsyncIterable<RunEvent>;
}

/** Reads a recorded run into the library and returns its id there. */
export async function openRecordedRun(
  { library, openRecorded }: RecordedRuns,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const record = await collectRun(library, openRecorded(bytes));
  return record.id;
}
