import { useCallback, useMemo, useSyncExternalStore } from 'react';
import type { RunRecord, RunSnapshot } from '../../state/run-record';
import type { SourceStatus } from '../../state/services';
import { useServices } from './services-context';

const noop = () => {};

export function useRunSnapshot(record: RunRecord | undefined): RunSnapshot | undefined {
  return useSyncExternalStore(
    useCallback((onChange) => record?.subscribe(onChange) ?? noop, [record]),
    useCallback(() => record?.snapshot(), [record]),
  );
}

export function useRuns(): readonly RunRecord[] {
  const { library } = useServices();
  return useSyncExternalStore(library.subscribe, library.list);
}

/** Current snapshots of all runs from this visit. */
export function useRunSnapshots(): readonly RunSnapshot[] {
  const records = useRuns();
  const all = useMemo(() => snapshotsOf(records), [records]);
  return useSyncExternalStore(all.subscribe, all.snapshot);
}

function snapshotsOf(records: readonly RunRecord[]) {
  let last: readonly RunSnapshot[] = [];
  return {
    subscribe(onChange: () => void): () => void {
      const unsubscribes = records.map((record) => record.subscribe(onChange));
      return () => {
        for (const unsubscribe of unsubscribes) unsubscribe();
      };
    },
    /** Returns the same array until a run changes. */
    snapshot(): readonly RunSnapshot[] {
      const now = records.map((record) => record.snapshot());
      const isSame = now.length === last.length && now.every((run, i) => run === last[i]);
      if (!isSame) last = now;
      return last;
    },
  };
}

export function useSourceStatus(): SourceStatus {
  const { source } = useServices();
  return useSyncExternalStore(
    useCallback((onChange) => source.subscribe(onChange), [source]),
    useCallback(() => source.status, [source]),
  );
}
