import type { AnswerToken, RelevancyMap, RunEnd, RunEvent, RunHeader } from '../contract/run';

/** What a run holds at one moment. A new object each time something came; the maps stay in the record. */
export interface RunSnapshot {
  readonly header: RunHeader;
  readonly tokens: readonly AnswerToken[];
  readonly mapCount: number;
  /** Undefined while the answer is still being written. */
  readonly end: RunEnd | undefined;
}

/** One run as it grows: only ever appended to. Large arrays live here, outside of React and of any store. */
export interface RunRecord {
  readonly id: string;
  /** An object URL of the run's own image. */
  readonly imageUrl: string;
  snapshot(): RunSnapshot;
  mapOf(tokenIndex: number): RelevancyMap | undefined;
  append(event: RunEvent): void;
  subscribe(onChange: () => void): () => void;
}

/** `schedule` runs its argument soon, once: a frame at most, so that a burst of events is one drawing. */
export function createRunRecord(
  header: RunHeader,
  imageUrl: string,
  schedule: (notify: () => void) => void,
): RunRecord {
  const tokens: AnswerToken[] = [];
  const maps = new Map<number, RelevancyMap>();
  const listeners = new Set<() => void>();
  let end: RunEnd | undefined;
  let shown: RunSnapshot = { header, tokens: [], mapCount: 0, end: undefined };
  let isScheduled = false;

  const publish = () => {
    isScheduled = false;
    shown = { header, tokens: tokens.slice(), mapCount: maps.size, end };
    for (const listener of listeners) listener();
  };

  return {
    id: header.id,
    imageUrl,
    snapshot: () => shown,
    mapOf: (tokenIndex) => maps.get(tokenIndex),
    append(event) {
      switch (event.type) {
        case 'queued':
        case 'begin':
          throw new Error(`run ${header.id} has begun already`);
        case 'token':
          if (event.token.index !== tokens.length) {
            throw new Error(`token ${event.token.index} came where token ${tokens.length} was due`);
          }
          tokens.push(event.token);
          break;
        case 'map':
          maps.set(event.map.tokenIndex, event.map);
          break;
        case 'end':
          end = event.end;
          publish();
          return;
      }
      if (isScheduled) return;
      isScheduled = true;
      schedule(publish);
    },
    subscribe(onChange) {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
  };
}

/** A frame from now, or at once where no frames are drawn (a hidden tab). */
export function onNextFrame(notify: () => void): void {
  if (document.visibilityState === 'hidden') setTimeout(notify, 0);
  else requestAnimationFrame(notify);
}
