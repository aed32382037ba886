import type { CompanionHead, CompanionModel } from '../contract/companion';
import type { ModelFacts, NoMaps, RunEvent, RunHeader } from '../contract/run';
import type { StreamHeader } from '../contract/run-header';
import { type BackendChoice, createHeadClient, type HeadClient, type HeadReport } from '../inference/head-client';
import { createCompanionExplainer } from './companion-explainer';
import { CompanionGone, createCompanionHttp, ensureTaken } from './companion-http';
import { mapsAlongside } from './maps-alongside';
import type { Question, RunSource, SourceStatus } from './run-source';
import { createRunStates } from './run-states';

export interface CompanionSourceOptions {
  /** Of the API, with the slash at the end; relative to the page. */
  readonly apiUrl: string;
  /** Where maps are made. */
  readonly backend: BackendChoice;
  /** Tests hand in a head of their own. */
  readonly createHead?: (onDeath: (reason: string) => void) => HeadClient;
}

/** Hidden states of the last answers that are kept for explaining them: 4.7 MB an image at d = 4096, 8 kB a token. */
const heldStatesBytes = 256 * 2 ** 20;

export interface CompanionSource extends RunSource {
  destroy(): void;
}

/** What is known of the companion while it is connected. */
interface Connected {
  readonly model: CompanionModel;
  /** Either a head that is loaded here, or the reason why there are no maps. */
  readonly maps:
    | { readonly kind: 'made'; readonly head: CompanionHead }
    | { readonly kind: 'none'; readonly why: NoMaps };
}

/** A companion's model: it answers over HTTP, and its maps are made in this page from the states that it sends. */
export function createCompanionSource(options: CompanionSourceOptions): CompanionSource {
  const http = createCompanionHttp(new URL(options.apiUrl, document.baseURI).href);
  const head = (options.createHead ?? createHeadClient)((reason) => {
    // The next question starts another worker.
    loadedHead = undefined;
    connecting = undefined;
    if (connected?.maps.kind !== 'made') return;
    connected = { ...connected, maps: { kind: 'none', why: noHeadHere(reason) } };
    if (status.phase === 'ready') setReady(connected, undefined);
  });
  const states = createRunStates(heldStatesBytes);
  const explainer = createCompanionExplainer({ http, states, model: () => connected?.model });
  const listeners = new Set<(status: SourceStatus) => void>();
  let status: SourceStatus = { phase: 'idle' };
  let connected: Connected | undefined;
  let connecting: Promise<void> | undefined;
  /** Which head the worker has, and where it runs. */
  let loadedHead: { readonly key: string; readonly report: HeadReport } | undefined;

  function setStatus(next: SourceStatus) {
    status = next;
    for (const listener of listeners) listener(next);
  }

  function setReady({ model, maps }: Connected, report: HeadReport | undefined) {
    const note = maps.kind === 'none' ? maps.why.reason : report?.note;
    const ready = { phase: 'ready', backend: report?.backend, device: model.device } as const;
    setStatus({ ...ready, ...(note !== undefined && { note }) });
  }

  /** Grows with each attempt to connect and each answer that begins to come: what was found out before is old news. */
  let contacts = 0;

  function setFailed(error: unknown, contact: number) {
    if (contact !== contacts) return;
    connecting = undefined;
    setStatus({ phase: 'failed', reason: reasonOf(error) });
  }

  async function connect(): Promise<void> {
    contacts += 1;
    const mine = contacts;
    setStatus({ phase: 'loading', loadedBytes: 0, totalBytes: 0, what: 'the model’s facts' });
    try {
      await http.checkHealth();
      const model = await http.model();
      connected = { model, maps: await readyMaps(model) };
      setReady(connected, loadedHead?.report);
      // A head that did not come is tried for again with the next question.
      if (model.head !== null && connected.maps.kind === 'none' && misfitOf(model) === undefined)
        connecting = undefined;
    } catch (error) {
      setFailed(error, mine);
      throw error;
    }
  }

  /** Without a head, or with one that does not fit or load, the model answers all the same. */
  async function readyMaps(model: CompanionModel): Promise<Connected['maps']> {
    const why = misfitOf(model);
    if (model.head === null || why !== undefined) return { kind: 'none', why: why ?? headless(model) };
    try {
      loadedHead = await ensureHead(model.head);
      return { kind: 'made', head: model.head };
    } catch (error) {
      return { kind: 'none', why: noHeadHere(reasonOf(error)) };
    }
  }

  async function ensureHead({ files, hiddenSize }: CompanionHead) {
    const key = [files.graph, files.normGraph, files.weights].map(({ sha256 }) => sha256).join();
    if (loadedHead?.key === key) return loadedHead;
    loadedHead = undefined;
    const request = { baseUrl: http.apiUrl, ...files, hiddenSize, backend: options.backend };
    const report = await head.load(request, (progress) => setStatus({ phase: 'loading', ...progress }));
    return { key, report };
  }

  function ensureConnected(): Promise<void> {
    connecting ??= connect();
    return connecting;
  }

  /** The question under way goes on; the next one finds what there is now. */
  function reconnect(): void {
    connecting = connect();
    connecting.catch(() => {}); // the status says it
  }

  /** A stream may break alone; where the companion itself is gone, the status says so. */
  async function lookAfterCompanion(): Promise<void> {
    const seen = contacts;
    try {
      await http.checkHealth();
    } catch (error) {
      setFailed(error, seen);
    }
  }

  async function* answer(question: Question, stop: AbortController, askedAt: number): AsyncGenerator<RunEvent> {
    // Reading Arrow is 40 kB that the first paint can do without.
    const { openRunRows } = await import('../contract/run-rows');
    const { header, rows } = await openRunRows(await http.generate(question, stop.signal));
    contacts += 1;
    if (header.image.sha256 !== question.image.sha256) throw new Error('the companion answered about another picture');
    let first = await rows.next();
    while (!first.done && first.value.kind === 'queued' && first.value.place > 0) {
      yield { type: 'queued', before: first.value.place };
      first = await rows.next();
    }
    const isClosing = !first.done && first.value.kind === 'end' && first.value.end.reason === 'cancelled';
    if (first.done || first.value.kind === 'broken' || isClosing) throw new CompanionGone();
    const isStale = !isOf(header, connected!.model);
    if (isStale) reconnect();
    const maps = isStale ? startedAnew(header) : connected!.maps;
    yield { type: 'begin', header: headerOf(header, question, maps) };
    const begun = first.value;
    async function* fromFirst() {
      yield begun;
      yield* rows;
    }
    yield* mapsAlongside(states.watch(header.id, fromFirst()), {
      openImage: maps.kind === 'made' ? (states) => head.openImage(states) : undefined,
      signal: stop.signal,
      askedAt,
      onMaps({ backend, note }) {
        const isNews = status.phase === 'ready' && status.backend !== backend;
        if (loadedHead) loadedHead = { ...loadedHead, report: { ...loadedHead.report, backend, note } };
        if (isNews && connected) setReady(connected, { backend, note });
      },
    });
  }

  return {
    kind: 'companion',
    get model() {
      return connected && modelFacts(connected.model);
    },
    get status() {
      return status;
    },
    get calibrationUrl() {
      const path = connected?.model.calibration?.path;
      return path && new URL(path, http.apiUrl).href;
    },
    hints: { placeholder: 'Ask about the image', suggestions: ['Describe the image.'] },
    subscribe(onStatus) {
      listeners.add(onStatus);
      return () => listeners.delete(onStatus);
    },
    load: ensureConnected,
    checkQuestion: (text) => (text.trim() === '' ? { kind: 'empty' } : undefined),
    async *ask(question, signal): AsyncGenerator<RunEvent> {
      const askedAt = performance.now();
      await Promise.race([ensureConnected(), rejectAtAbort(signal)]);
      ensureTaken(question.image, connected!.model);
      const stop = new AbortController();
      const abort = () => stop.abort(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
      try {
        for await (const event of answer(question, stop, askedAt)) {
          if (event.type === 'end' && event.end.reason === 'truncated') void lookAfterCompanion();
          yield event;
        }
      } catch (error) {
        if (error instanceof CompanionGone) void lookAfterCompanion();
        throw error;
      } finally {
        // Also where the reader left early: nobody wants the rest of the answer.
        signal.removeEventListener('abort', abort);
        stop.abort();
      }
    },
    offers: explainer.offers,
    async *explain(request, signal) {
      try {
        yield* explainer.explain(request, signal);
      } catch (error) {
        void lookAfterCompanion();
        throw error;
      }
    },
    destroy() {
      head.destroy();
      explainer.destroy();
    },
  };
}

function headless({ name, trainCommand }: CompanionModel): NoMaps {
  return { reason: `${name} has no FastRM head, so its answers come without maps.`, trainCommand };
}

function misfitOf({ name, hiddenSize, stage, head, trainCommand }: CompanionModel): NoMaps | undefined {
  if (head === null || (head.hiddenSize === hiddenSize && head.stage === stage)) return undefined;
  const reads = `reads ${head.stage} states of size ${head.hiddenSize}`;
  const gives = `${name} gives ${stage} states of size ${hiddenSize}`;
  return { reason: `The head ${head.name} ${reads}; ${gives}. Answers come without maps.`, trainCommand };
}

function noHeadHere(reason: string): NoMaps {
  return {
    reason: `The FastRM head could not be used here (${reason}), so this answer comes without maps. Ask again to try once more.`,
  };
}

function isOf(header: StreamHeader, { name, revision, head }: CompanionModel): boolean {
  const isSameModel = header.model.name === name && header.model.revision === revision;
  return isSameModel && header.head?.revision === head?.revision;
}

/** Its head may be another one too, or read other states. */
function startedAnew({ model, head }: StreamHeader): Connected['maps'] {
  const now = `${model.name} ${model.revision}, ${head ? `head ${head.name} ${head.revision}` : 'without a head'}`;
  const reason = `The companion was started anew since this page connected (${now}).`;
  return {
    kind: 'none',
    why: { reason: `${reason}${head ? ' Ask again for maps.' : ' Its answers come without maps.'}` },
  };
}

function headerOf(header: StreamHeader, { image }: Question, maps: Connected['maps']): RunHeader {
  const seen = { ...header, image, recorded: false };
  return maps.kind === 'made' ? seen : { ...seen, head: undefined, noMaps: maps.why };
}

function modelFacts({ name, revision, hiddenSize, stage, knows, family, dtype }: CompanionModel): ModelFacts {
  return { name, revision, hiddenSize, stage, knows, family, dtype };
}

function rejectAtAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
