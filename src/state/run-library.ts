import { imagesOf, type RunEvent, type RunHeader } from '../contract/run';
import { createRunRecord, onNextFrame, type RunRecord } from './run-record';

/** All runs of this visit, recorded and live, newest last. A run's image URLs are revoked when the run is dropped. */
export interface RunLibrary {
  get(id: string): RunRecord | undefined;
  list(): readonly RunRecord[];
  begin(header: RunHeader): RunRecord;
  drop(id: string): void;
  subscribe(onChange: () => void): () => void;
}

/**
 * Each run holds its image, its maps (about 2.3 kB per token at 576 patches) and, if its source keeps them, the states of
 * the patches (0.4 MB for the model in this page), so the oldest runs beyond this number are dropped.
 */
export const maxRuns = 40;

export interface RunKeeping {
  /** The run on screen is never dropped to make room for newer ones. */
  isOnScreen?(id: string): boolean;
  /** Called for each dropped run, so that state kept elsewhere can be dropped too. */
  onDrop?(id: string): void;
}

export function createRunLibrary({ isOnScreen = () => false, onDrop = () => {} }: RunKeeping = {}): RunLibrary {
  let records: readonly RunRecord[] = [];
  const listeners = new Set<() => void>();
  const replace = (next: readonly RunRecord[]) => {
    records = next;
    for (const listener of listeners) listener();
  };
  const release = ({ id, imageUrls }: RunRecord) => {
    for (const url of imageUrls) URL.revokeObjectURL(url);
    onDrop(id);
  };
  return {
    get: (id) => records.find((record) => record.id === id),
    list: () => records,
    begin(header) {
      if (records.some((record) => record.id === header.id))
        throw new Error(`run ${header.id} is already in the library`);
      const urls = imagesOf(header).map(({ picture }) => URL.createObjectURL(picture.blob));
      const record = createRunRecord(header, urls, onNextFrame);
      const surplus = Math.max(0, records.length - (maxRuns - 1));
      const dropped = records.filter(({ id }) => !isOnScreen(id)).slice(0, surplus);
      for (const one of dropped) release(one);
      replace([...records.filter((one) => !dropped.includes(one)), record]);
      return record;
    },
    drop(id) {
      const dropped = records.find((record) => record.id === id);
      if (dropped) release(dropped);
      replace(records.filter((record) => record !== dropped));
    },
    subscribe(onChange) {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
  };
}

export interface RunListener {
  /** `before`: number of questions ahead in the queue. */
  onQueued(before: number): void;
  /** Called before the run's first token. */
  onBegin(record: RunRecord): void;
}

const noListener: RunListener = { onQueued: () => {}, onBegin: () => {} };

/** Collects a stream of events into the library. If the stream throws, its run is removed. */
export async function collectRun(
  library: RunLibrary,
  events: AsyncIterable<RunEvent>,
  { onQueued, onBegin }: RunListener = noListener,
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
        throw new Error(`a run must start with a 'begin' event, got '${event.type}'`);
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
