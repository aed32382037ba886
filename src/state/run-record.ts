import type { AnswerStates, StateRows, TokenStates } from '../contract/answer-states';
import type { MethodId } from '../contract/methods';
import type { AnswerToken, PromptToken, RelevancyMap, RunEnd, RunEvent, RunHeader } from '../contract/run';

/** An immutable view of a run; each change creates a new snapshot. */
export interface RunSnapshot {
  readonly header: RunHeader;
  /** Empty until known; stays empty if the source does not report it. */
  readonly prompt: readonly PromptToken[];
  readonly tokens: readonly AnswerToken[];
  /** Undefined if the source does not keep them; complete only if `end` is there. */
  readonly states: AnswerStates | undefined;
  /** `method` defaults to FastRM. */
  readonly mapOf: (tokenIndex: number, method?: MethodId) => RelevancyMap | undefined;
  /** Undefined while the answer is still being written. */
  readonly end: RunEnd | undefined;
}

/** An append-only record of one run. Large arrays are kept here, outside React and the stores. */
export interface RunRecord {
  readonly id: string;
  /** Object URLs of the run's images. */
  readonly imageUrls: readonly string[];
  snapshot(): RunSnapshot;
  /** Live: includes maps that are not in the snapshot yet. */
  hasMap(tokenIndex: number, method: MethodId): boolean;
  append(event: RunEvent): void;
  subscribe(onChange: () => void): () => void;
}

/** `schedule` runs its callback once, within a frame, so a burst of events renders once. */
export function createRunRecord(
  header: RunHeader,
  imageUrls: readonly string[],
  schedule: (notify: () => void) => void,
): RunRecord {
  const tokens: AnswerToken[] = [];
  const maps = new Map<string, RelevancyMap>();
  const listeners = new Set<() => void>();
  const tokenStates: TokenStates[] = [];
  let patchStates: StateRows | undefined;
  let prompt: readonly PromptToken[] = [];
  let end: RunEnd | undefined;
  let shown: RunSnapshot = { header, prompt, tokens: [], states: undefined, mapOf: lookupOf(maps), end: undefined };
  let isScheduled = false;

  const publish = () => {
    isScheduled = false;
    shown = { header, prompt, tokens: tokens.slice(), states: answerStates(), mapOf: lookupOf(maps), end };
    for (const listener of listeners) listener();
  };

  function answerStates(): AnswerStates | undefined {
    if (patchStates === undefined || tokenStates.length < tokens.length) return undefined;
    return { patches: patchStates, tokens: tokenStates.slice() };
  }

  return {
    id: header.id,
    imageUrls,
    snapshot: () => shown,
    hasMap: (tokenIndex, method) => maps.has(keyOf(method, tokenIndex)),
    append(event) {
      switch (event.type) {
        case 'queued':
        case 'begin':
          throw new Error(`run ${header.id} has already begun`);
        case 'patch-states':
          patchStates = event.states;
          break;
        case 'prompt':
          prompt = event.tokens;
          break;
        case 'token':
          if (event.token.index !== tokens.length) {
            throw new Error(`expected token ${tokens.length}, got token ${event.token.index}`);
          }
          tokens.push(event.token);
          if (event.states) tokenStates.push(event.states);
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

/** Returns a function that looks up maps in a copy of the current ones. */
function lookupOf(maps: ReadonlyMap<string, RelevancyMap>): RunSnapshot['mapOf'] {
  const now = new Map(maps);
  return (tokenIndex, method = 'fastrm') => now.get(keyOf(method, tokenIndex));
}

const keyOf = (method: MethodId, tokenIndex: number) => `${method} ${tokenIndex}`;

/** Calls `notify` in the next animation frame, or immediately in a hidden tab, which has no frames. */
export function onNextFrame(notify: () => void): void {
  if (document.visibilityState === 'hidden') setTimeout(notify, 0);
  else requestAnimationFrame(notify);
}
