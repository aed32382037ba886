import type { RunEvent, RunHeader } from '../contract/run';
import { createRunRecord, onNextFrame, type RunRecord } from './run-record';

/** All runs of this visit, recorded and live, newest last. The URLs of their images live as long as they do. */
export interface RunLibrary {
  get(id: string): RunRecord | undefined;
  list(): readonly RunRecord[];
  begin(header: RunHeader): RunRecord;
  drop(id: string): void;
  subscribe(onChange: () => void): () => void;
}

/** Runs hold their images and maps (about 2.3 kB a token at 576 patches); past this many the oldest go. */
const maxRuns = 40;

export interface RunKeeping {
  /** The run on screen stays, however old it is. */
  isOnScreen?(id: string): boolean;
  /** What is known of the run elsewhere can go too. */
  onDrop?(id: string): void;
}

export function createRunLibrary({ isOnScreen = () => false, onDrop = () => {} }: RunKeeping = {}): RunLibrary {
  let records: readonly RunRecord[] = [];
  const listeners = new Set<() => void>();
  const replace = (next: readonly RunRecord[]) => {
    records = next;
    for (const listener of listeners) listener();
  };
  const letGo = ({ id, imageUrl }: RunRecord) => {
    URL.revokeObjectURL(imageUrl);
    onDrop(id);
  };
  return {
    get: (id) => records.find((record) => record.id === id),
    list: () => records,
    begin(header) {
      if (records.some((record) => record.id === header.id)) throw new Error(`run ${header.id} is here already`);
      const url = URL.createObjectURL(new Blob([header.image.bytes], { type: header.image.mediaType }));
      const record = createRunRecord(header, url, onNextFrame);
      const surplus = Math.max(0, records.length - (maxRuns - 1));
      const dropped = records.filter(({ id }) => !isOnScreen(id)).slice(0, surplus);
      for (const one of dropped) letGo(one);
      replace([...records.filter((one) => !dropped.includes(one)), record]);
      return record;
    },
    drop(id) {
      const dropped = records.find((record) => record.id === id);
      if (dropped) letGo(dropped);
      replace(records.filter((record) => record !== dropped));
    },
    subscribe(onChange) {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
  };
}

export interface RunListener {
  /** So many questions are answered before it. */
  onQueued(before: number): void;
  /** Before the run's first token. */
  onBegin(record: RunRecord): void;
}

const nobody: RunListener = { onQueued: () => {}, onBegin: () => {} };

/** Feeds a stream of events into the library. A stream that is refused on its way leaves no run behind. */
export async function collectRun(
  library: RunLibrary,
  events: AsyncIterable<RunEvent>,
  { onQueued, onBegin }: RunListener = nobody,
): Promise<RunRecord> {
  let record: RunRecord | undefined;
  try {
    for await (const event of events) {
      if (event.type === 'queued') {
        onQueued(event.before);
      } else if (event.type === 'begin') {
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
  } catch (error) {
    if (record) library.drop(record.id);
    throw error;
  }
  if (record === undefined) throw new Error('the run is empty');
  if (record.snapshot().end === undefined) {
    record.append({ type: 'end', end: { reason: 'truncated', answerMs: 0, firstTokenMs: 0 } });
  }
  return record;
}
