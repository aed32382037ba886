import type { MethodId } from '../contract/methods';
import type { AnswerToken, PromptToken, RelevancyMap, RunEnd, RunEvent, RunHeader } from '../contract/run';

/** What a run holds at one moment. A new object each time something came. */
export interface RunSnapshot {
  readonly header: RunHeader;
  /** Empty until it is known, and for good where it is not. */
  readonly prompt: readonly PromptToken[];
  readonly tokens: readonly AnswerToken[];
  /** FastRM's, unless told otherwise. */
  readonly mapOf: (tokenIndex: number, method?: MethodId) => RelevancyMap | undefined;
  /** Undefined while the answer is still being written. */
  readonly end: RunEnd | undefined;
}

/** One run as it grows: only ever appended to. Large arrays live here, outside of React and of any store. */
export interface RunRecord {
  readonly id: string;
  /** An object URL of the run's own image. */
  readonly imageUrl: string;
  snapshot(): RunSnapshot;
  /** Live: also a map that the next snapshot will bring. */
  hasMap(tokenIndex: number, method: MethodId): boolean;
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
  const maps = new Map<string, RelevancyMap>();
  const listeners = new Set<() => void>();
  let prompt: readonly PromptToken[] = [];
  let end: RunEnd | undefined;
  let shown: RunSnapshot = { header, prompt, tokens: [], mapOf: lookupOf(maps), end: undefined };
  let isScheduled = false;

  const publish = () => {
    isScheduled = false;
    shown = { header, prompt, tokens: tokens.slice(), mapOf: lookupOf(maps), end };
    for (const listener of listeners) listener();
  };

  return {
    id: header.id,
    imageUrl,
    snapshot: () => shown,
    hasMap: (tokenIndex, method) => maps.has(keyOf(method, tokenIndex)),
    append(event) {
      switch (event.type) {
        case 'queued':
        case 'begin':
          throw new Error(`run ${header.id} has begun already`);
        case 'prompt':
          prompt = event.tokens;
          break;
        case 'token':
          if (event.token.index !== tokens.length) {
            throw new Error(`token ${event.token.index} came where token ${tokens.length} was due`);
          }
          tokens.push(event.token);
          break;
        case 'map':
          maps.set(keyOf(event.map.method, event.map.tokenIndex), event.map);
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

/** Of the maps that are there now. */
function lookupOf(maps: ReadonlyMap<string, RelevancyMap>): RunSnapshot['mapOf'] {
  const now = new Map(maps);
  return (tokenIndex, method = 'fastrm') => now.get(keyOf(method, tokenIndex));
}

const keyOf = (method: MethodId, tokenIndex: number) => `${method} ${tokenIndex}`;

/** A frame from now, or at once where no frames are drawn (a hidden tab). */
export function onNextFrame(notify: () => void): void {
  if (document.visibilityState === 'hidden') setTimeout(notify, 0);
  else requestAnimationFrame(notify);
}
