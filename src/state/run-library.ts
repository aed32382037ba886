import type { RunEvent, RunHeader } from '../contract/run';
import { createRunRecord, onNextFrame, type RunRecord } from './run-record';

/** All runs of this visit, recorded and live, newest last. The URLs of their images live as long as they do. */
export interface RunLibrary {
  get(id: string): RunRecord | undefined;
  list(): readonly RunRecord[];
  begin(header: RunHeader): RunRecord;
  subscribe(onChange: () => void): () => void;
}

/** Runs hold their images and maps (about 2.3 kB a token at 576 patches); past this many the oldest go. */
const maxRuns = 40;

export function createRunLibrary(): RunLibrary {
  let records: readonly RunRecord[] = [];
  const listeners = new Set<() => void>();
  const replace = (next: readonly RunRecord[]) => {
    records = next;
    for (const listener of listeners) listener();
  };
  return {
    get: (id) => records.find((record) => record.id === id),
    list: () => records,
    begin(header) {
      if (records.some((record) => record.id === header.id)) throw new Error(`run ${header.id} is here already`);
      const url = URL.createObjectURL(new Blob([header.image.bytes], { type: header.image.mediaType }));
      const record = createRunRecord(header, url, onNextFrame);
      const kept = records.slice(-(maxRuns - 1));
      for (const dropped of records.slice(0, records.length - kept.length)) URL.revokeObjectURL(dropped.imageUrl);
      replace([...kept, record]);
      return record;
    },
    subscribe(onChange) {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
  };
}

/** Feeds a stream of events into the library. `onBegin` is told of the record before its first token. */
export async function collectRun(
  library: RunLibrary,
  events: AsyncIterable<RunEvent>,
  onBegin: (record: RunRecord) => void = () => {},
): Promise<RunRecord> {
  let record: RunRecord | undefined;
  for await (const event of events) {
    if (event.type === 'begin') {
      const known = library.get(event.header.id);
      if (known?.snapshot().end) {
        onBegin(known);
        return known;
      }
      record = library.begin(event.header);
      onBegin(record);
    } else if (record === undefined) {
      throw new Error(`a run's first event was '${event.type}', not 'begin'`);
    } else {
      record.append(event);
    }
  }
  if (record === undefined) throw new Error('the run is empty');
  if (record.snapshot().end === undefined) {
    record.append({ type: 'end', end: { reason: 'truncated', answerMs: 0, firstTokenMs: 0 } });
  }
  return record;
}
