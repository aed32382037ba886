import type { RunEvent } from '../contract/run';
import { collectRun, type RunLibrary } from './run-library';

/** Opens recorded runs, and holds the library that they go into. */
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
