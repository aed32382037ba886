import type { OnBytes } from './fetch-bytes';

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
  /** What is being loaded. */
  readonly what: string;
}

export interface LoadReport {
  readonly onBytes: OnBytes;
  /** Sets the name of what loads next; it is shown when the next bytes arrive, or immediately by `show`. */
  name(what: string): void;
  show(): void;
}

/** Adds up the progress of several files. */
export function createLoadReport(totalBytes: number, onProgress: (progress: LoadProgress) => void): LoadReport {
  let loadedBytes = 0;
  let what = 'the runtime';
  const show = () => onProgress({ loadedBytes: Math.min(loadedBytes, totalBytes), totalBytes, what });
  return {
    onBytes(bytes) {
      loadedBytes += bytes;
      show();
    },
    name(next) {
      what = next;
    },
    show,
  };
}
