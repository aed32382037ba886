import { useCallback, useSyncExternalStore } from 'react';
import type { RunRecord, RunSnapshot } from '../../state/run-record';
import type { SourceStatus } from '../../state/services';
import { useServices } from './services-context';

const nothing = () => {};

export function useRunSnapshot(record: RunRecord | undefined): RunSnapshot | undefined {
  return useSyncExternalStore(
    useCallback((onChange) => record?.subscribe(onChange) ?? nothing, [record]),
    useCallback(() => record?.snapshot(), [record]),
  );
}

export function useRuns(): readonly RunRecord[] {
  const { library } = useServices();
  return useSyncExternalStore(library.subscribe, library.list);
}

export function useSourceStatus(): SourceStatus {
  const { source } = useServices();
  return useSyncExternalStore(
    useCallback((onChange) => source.subscribe(onChange), [source]),
    useCallback(() => source.status, [source]),
  );
}
