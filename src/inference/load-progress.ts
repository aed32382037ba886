import type { OnBytes } from './fetch-bytes';

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
  /** What is being loaded. */
  readonly what: string;
  /** Once all bytes have arrived: the number of threads that the runtime starts. */
  readonly startingThreads?: number;
}

export interface LoadReport {
  readonly onBytes: OnBytes;
  /** Sets the name of what loads next; it is shown when the next bytes arrive, or immediately by `show`. */
  name(what: string): void;
  /** All bytes have arrived; from now on, each `show` is a step of the start. */
  start(what: string, threads: number): void;
  show(): void;
}

/** Adds up the progress of several files. */
export function createLoadReport(totalBytes: number, onProgress: (progress: LoadProgress) => void): LoadReport {
  let loadedBytes = 0;
  let what = 'the runtime';
  let starting: Pick<LoadProgress, 'startingThreads'> = {};
  const show = () => onProgress({ loadedBytes: Math.min(loadedBytes, totalBytes), totalBytes, what, ...starting });
  return {
    onBytes(bytes) {
      loadedBytes += bytes;
      show();
    },
    name(next) {
      what = next;
    },
    start(next, threads) {
      what = next;
      starting = { startingThreads: threads };
      show();
    },
    show,
  };
}
