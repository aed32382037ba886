// Keeps the visit's own runs across a reload or Back:
// library -> changed runs, one after the other -> visit store; on load: visit store -> library.
// A run that cannot be stored is counted, and leaving the page then asks first.
import { create } from 'zustand';
import type { TokenStates } from '../contract/answer-states';
import { methodIds } from '../contract/methods';
import { askedImages, imagesOf, type RunImage } from '../contract/run';
import { useChoices } from './choices';
import type { RunLibrary } from './run-library';
import type { RunRecord, RunSnapshot } from './run-record';
import type { KeptRun, VisitStore } from './visit-store';

export interface Keeping {
  /** Whether the runs of before the reload are still being read. */
  readonly isRestoring: boolean;
  /** Whether changes are still being stored. */
  readonly isStoring: boolean;
  /** Number of own runs that could not be stored, so that leaving the page loses them. */
  readonly unkept: number;
}

export const useKeeping = create<Keeping>(() => ({ isRestoring: false, isStoring: false, unkept: 0 }));

export interface KeptRunsOptions {
  readonly library: RunLibrary;
  /** The tab's own storage, which a reload keeps; undefined if the browser blocks it. */
  readonly tab: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | undefined;
  openStore(visit: string): Promise<VisitStore>;
  /** Whether to return to the run that was on screen. */
  readonly isReturning: boolean;
  readonly limitBytes?: number;
}

const visitKey = 'patchlight.visit';
const shownKey = 'patchlight.shown';

/** Images and maps of one visit. */
const defaultLimitBytes = 256 * 2 ** 20;
/** The browser may leave the request to open a database unanswered. */
const openTimeoutMs = 5000;
/** A streaming answer changes with every frame. */
const minGapMs = 250;

export interface KeptRuns {
  /** Resolves once the runs are restored and further ones are stored. */
  readonly ready: Promise<void>;
  destroy(): void;
}

/** Restores the runs of this visit, then stores each run that changes. */
export function createKeptRuns(options: KeptRunsOptions): KeptRuns {
  const { library, tab, openStore, isReturning, limitBytes = defaultLimitBytes } = options;
  const previous = tab?.getItem(visitKey) ?? undefined;
  const visit = previous ?? crypto.getRandomValues(new Uint32Array(4)).join('-');
  const shown = isReturning ? (tab?.getItem(shownKey) ?? undefined) : undefined;
  const changed = new Set<string>();
  const watched = new Map<string, { readonly record: RunRecord; readonly stop: () => void }>();
  const stored = new Map<string, { readonly sha256s: readonly string[]; readonly bytes: number }>();
  const images = new Map<string, number>();
  const unkept = new Set<string>();
  let store: VisitStore | undefined;
  let isWorking = false;
  let isPutting = false;
  let isStopped = false;

  function report(): void {
    useKeeping.setState({ isStoring: isPutting || changed.size > 0, unkept: unkept.size });
  }

  function totalBytes(): number {
    const runs = [...stored.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    return [...images.values()].reduce((sum, bytes) => sum + bytes, runs);
  }

  async function put(record: RunRecord): Promise<void> {
    if (store === undefined) throw new Error('there is no store');
    const snapshot = record.snapshot();
    const run = keptRun(snapshot);
    const { id } = run.header;
    const own = new Map(imagesOf(snapshot.header).map((image) => [image.sha256, image]));
    const fresh = [...own.values()].filter(({ sha256 }) => !images.has(sha256));
    const bytes = bytesOf(run);
    const added = fresh.reduce((sum, image) => sum + imageBytes(image), bytes - (stored.get(id)?.bytes ?? 0));
    if (totalBytes() + added > limitBytes) throw new Error(`over ${limitBytes} bytes`);
    for (const image of fresh) {
      await store.putImage(image);
      images.set(image.sha256, imageBytes(image));
    }
    await store.putRun(run);
    stored.set(id, { sha256s: [...own.keys()], bytes });
  }

  async function drop(id: string): Promise<void> {
    unkept.delete(id);
    const kept = stored.get(id);
    if (store === undefined || kept === undefined) return;
    stored.delete(id);
    await store.dropRun(id);
    for (const sha256 of kept.sha256s) {
      if ([...stored.values()].some((other) => other.sha256s.includes(sha256))) continue;
      images.delete(sha256);
      await store.dropImage(sha256);
    }
  }

  async function keep(id: string): Promise<void> {
    const record = watched.get(id)?.record;
    if (record === undefined) return drop(id).catch(() => {}); // removed with its visit
    try {
      await put(record);
      unkept.delete(id);
    } catch {
      unkept.add(id);
    }
  }

  async function work(): Promise<void> {
    if (isWorking) return;
    isWorking = true;
    while (changed.size > 0 && !isStopped) {
      const ids = [...changed];
      changed.clear();
      isPutting = true;
      for (const id of ids) await keep(id);
      isPutting = false;
      report();
      await new Promise((resolve) => setTimeout(resolve, minGapMs));
    }
    isWorking = false;
  }

  function onChange(id: string): void {
    changed.add(id);
    report();
    void work();
  }

  function watch(): void {
    const own = library.list().filter((record) => !record.snapshot().header.recorded);
    for (const [id, { stop }] of [...watched]) {
      if (own.some((record) => record.id === id)) continue;
      stop();
      watched.delete(id);
      onChange(id);
    }
    for (const record of own) {
      if (watched.has(record.id)) continue;
      watched.set(record.id, { record, stop: record.subscribe(() => onChange(record.id)) });
      if (!stored.has(record.id)) onChange(record.id);
    }
  }

  async function start(): Promise<void> {
    try {
      if (tab === undefined) throw new Error('the next load could not find the runs');
      store = await Promise.race([openStore(visit), rejectAfter(openTimeoutMs)]);
      for (const { run, images: own } of previous === undefined ? [] : await store.read()) {
        if (library.get(run.header.id) !== undefined) continue;
        stored.set(run.header.id, { sha256s: own.map(({ sha256 }) => sha256), bytes: bytesOf(run) });
        for (const image of own) images.set(image.sha256, imageBytes(image));
        restore(library, run, own);
      }
      tab.setItem(visitKey, visit);
    } catch {
      store = undefined;
    }
    if (isStopped) return;
    if (shown !== undefined && library.get(shown) !== undefined) useChoices.getState().showRun(shown);
    useKeeping.setState({ isRestoring: false });
    stops.push(library.subscribe(watch));
    watch();
  }

  const stops = [
    useChoices.subscribe(({ runId }) => {
      if (runId === undefined || tab === undefined) return;
      if (library.get(runId)?.snapshot().header.recorded === false) tab.setItem(shownKey, runId);
      else tab.removeItem(shownKey);
    }),
    () => {
      for (const { stop } of watched.values()) stop();
    },
  ];
  useKeeping.setState({ isRestoring: previous !== undefined, isStoring: false, unkept: 0 });
  return {
    ready: start(),
    destroy() {
      isStopped = true;
      for (const stop of stops) stop();
    },
  };
}

/** Asks before leaving while something would be lost; the handler is present only then, because it can slow Back. */
export function askBeforeLeaving(page: Pick<Window, 'addEventListener' | 'removeEventListener'>): () => void {
  const ask = (event: Event) => {
    // Browsers ask only once the page was used, and report an error otherwise.
    if (globalThis.navigator?.userActivation?.hasBeenActive !== false) event.preventDefault();
  };
  return useKeeping.subscribe(({ unkept, isStoring }) => {
    if (unkept > 0 || isStoring) page.addEventListener('beforeunload', ask);
    else page.removeEventListener('beforeunload', ask);
  });
}

function keptRun({ header, prompt, tokens, states, mapOf, end }: RunSnapshot): KeptRun {
  const facts = ({ mediaType, name, sha256 }: RunImage) => ({ mediaType, name, sha256 });
  const { image, images, ...rest } = header;
  const maps = methodIds.flatMap((method) =>
    tokens.map(({ index }) => mapOf(index, method)).filter((map) => map !== undefined),
  );
  const kept = { ...rest, image: facts(image), ...(images && { images: images.map(facts) }) };
  return { header: kept, prompt, tokens, states, maps, end };
}

function restore(
  library: RunLibrary,
  { header, prompt, tokens, states, maps, end }: KeptRun,
  images: readonly RunImage[],
): void {
  const { images: _facts, ...rest } = header;
  const record = library.begin({ ...rest, ...askedImages(images) });
  if (states) record.append({ type: 'patch-states', states: states.patches });
  record.append({ type: 'prompt', tokens: prompt });
  for (const [i, token] of tokens.entries()) record.append({ type: 'token', token, states: states?.tokens[i] });
  for (const map of maps) record.append({ type: 'map', map });
  const cut = { reason: 'truncated', answerMs: 0, firstTokenMs: 0, message: 'the page was reloaded' } as const;
  record.append({ type: 'end', end: end ?? cut });
}

function imageBytes({ bytes, picture }: RunImage): number {
  return bytes.length + picture.blob.size;
}

/** Maps and states are almost all of a run. */
function bytesOf({ maps, states, tokens }: KeptRun): number {
  const ofToken = ({ query, attentionLogits }: TokenStates) =>
    query.values.byteLength + (attentionLogits?.byteLength ?? 0);
  const ofStates = states?.tokens.reduce((sum, token) => sum + ofToken(token), states.patches.values.byteLength) ?? 0;
  return maps.reduce((sum, { values }) => sum + values.byteLength, ofStates + 1000 * (1 + tokens.length));
}

function rejectAfter(ms: number): Promise<never> {
  return new Promise((_resolve, reject) => {
    setTimeout(() => reject(new Error(`no reply for ${ms} ms`)), ms);
  });
}
