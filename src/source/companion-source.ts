import type { CompanionHead, CompanionModel } from '../contract/companion';
import { askedImages, imagesOf, type ModelFacts, type NoHead, type RunEvent, type RunHeader } from '../contract/run';
import { ensureSameSizes, type StreamHeader } from '../contract/run-header';
import {
  type BackendChoice,
  createHeadClient,
  type HeadClient,
  type HeadReport,
  type LoadedHead,
  type LoadProgress,
} from '../inference/head-client';
import { reasonOf } from '../text/reason-of';
import { isBlank } from '../text/visible-text';
import { createAnswerActivations } from './answer-activations';
import { createCompanionExplainer } from './companion-explainer';
import { CompanionGone, createCompanionHttp, type EncodePicture, ensureAccepted, imageRefusal } from './companion-http';
import { openHeadMaps } from './head-maps';
import { mapsAlongside, type TokenMaps } from './maps-alongside';
import type { Question, RunSource, SourceStatus } from './run-source';
import { createRunStates } from './run-states';

export interface CompanionSourceOptions {
  /** URL of the API, with a trailing slash; relative to the page. */
  readonly apiUrl: string;
  /** Where maps are computed. */
  readonly backend: BackendChoice;
  readonly encodePicture: EncodePicture;
  /** Tests pass their own head. */
  readonly createHead?: (onDeath: (reason: string) => void) => HeadClient;
}

/**
 * Limit for what is kept to explain recent answers: hidden states and unembedding rows. At d = 4096, an image takes
 * 4.7 MB, and a token 8 kB or, with its row, 16 kB.
 */
const heldStatesBytes = 256 * 2 ** 20;

export interface CompanionSource extends RunSource {
  destroy(): void;
}

/** What is known about the companion. */
interface Companion {
  readonly model: CompanionModel;
  readonly maps: Maps;
}

/** The head loaded in this page, or why there are no FastRM maps. */
type Maps =
  | { readonly kind: 'made'; readonly head: CompanionHead; readonly report: LoadedHead }
  | { readonly kind: 'none'; readonly why: NoHead };

/** `companion` is the last known state; it is kept while reconnecting and after a failure. */
type Connection =
  | { readonly phase: 'idle'; readonly companion?: undefined }
  | {
      readonly phase: 'connecting';
      readonly attempt: Promise<void>;
      readonly progress: LoadProgress;
      readonly companion: Companion | undefined;
    }
  /** `isRetryDue`: the head could not be loaded, and the next question tries again. */
  | { readonly phase: 'connected'; readonly companion: Companion; readonly isRetryDue: boolean }
  | { readonly phase: 'failed'; readonly reason: string; readonly companion: Companion | undefined };

/**
 * A source that gets its answers from a companion over HTTP and computes their maps in this page, from the hidden
 * states that the companion sends.
 */
export function createCompanionSource(options: CompanionSourceOptions): CompanionSource {
  const http = createCompanionHttp(new URL(options.apiUrl, document.baseURI).href, options.encodePicture);
  const head = (options.createHead ?? createHeadClient)(onHeadDeath);
  const states = createRunStates(heldStatesBytes);
  const model = () => connection.companion?.model;
  const activations = createAnswerActivations({ http, states, model });
  const explainer = createCompanionExplainer({
    http,
    states,
    activations,
    model,
    encodePicture: options.encodePicture,
  });
  const listeners = new Set<(status: SourceStatus) => void>();
  let connection: Connection = { phase: 'idle' };
  let status = statusOf(connection);

  function setConnection(next: Connection) {
    connection = next;
    status = statusOf(next);
    for (const listener of listeners) listener(status);
  }

  /** The next question starts a new worker. */
  function onHeadDeath(reason: string) {
    const { companion } = connection;
    const without = companion?.maps.kind === 'made' ? { ...companion, maps: unusableHead(reason) } : companion;
    if (connection.phase === 'connected') {
      setConnection({ phase: 'connected', companion: without ?? connection.companion, isRetryDue: true });
    } else if (connection.phase !== 'idle') {
      setConnection({ ...connection, companion: without });
    }
  }

  /** Incremented when a connection attempt or an answer begins, so that failures of earlier ones are ignored. */
  let contacts = 0;

  function setFailed(error: unknown, contact: number) {
    if (contact !== contacts) return;
    setConnection({ phase: 'failed', reason: reasonOf(error), companion: connection.companion });
  }

  function connect(): Promise<void> {
    contacts += 1;
    const attempt = findCompanion(contacts);
    const progress = { loadedBytes: 0, totalBytes: 0, what: 'the model description' };
    setConnection({ phase: 'connecting', attempt, progress, companion: connection.companion });
    return attempt;
  }

  async function findCompanion(contact: number): Promise<void> {
    try {
      await http.checkHealth();
      const model = await http.model();
      const misfit = misfitOf(model);
      const maps = await readyMaps(model, misfit);
      const isRetryDue = model.head !== null && maps.kind === 'none' && misfit === undefined;
      setConnection({ phase: 'connected', companion: { model, maps }, isRetryDue });
    } catch (error) {
      setFailed(error, contact);
      throw error;
    }
  }

  /** The model can answer even without a head, or with one that does not fit or load. */
  async function readyMaps(model: CompanionModel, misfit: NoHead | undefined): Promise<Maps> {
    if (model.head === null || misfit !== undefined) return { kind: 'none', why: misfit ?? headless(model) };
    const held = connection.companion?.maps;
    if (held?.kind === 'made' && keyOf(held.head) === keyOf(model.head)) return { ...held, head: model.head };
    try {
      return { kind: 'made', head: model.head, report: await loadHead(model.head) };
    } catch (error) {
      return unusableHead(reasonOf(error));
    }
  }

  function loadHead({ files, hiddenSize }: CompanionHead): Promise<LoadedHead> {
    const request = { baseUrl: http.apiUrl, ...files, hiddenSize, backend: options.backend };
    return head.load(request, (progress) => {
      if (connection.phase === 'connecting') setConnection({ ...connection, progress });
    });
  }

  async function ensureConnected(): Promise<void> {
    if (connection.phase === 'connecting') return connection.attempt;
    if (connection.phase === 'connected' && !connection.isRetryDue) return;
    return connect();
  }

  /** Reconnects in the background: the current question continues and the next one uses the new state. */
  function reconnect(): void {
    connect().catch(() => {}); // the status reports the error
  }

  function ensureCompanion(): Companion {
    if (connection.companion === undefined) throw new CompanionGone();
    return connection.companion;
  }

  /** A head may fall back from WebGPU to WASM, or lose its output for words, while it runs. */
  function noteReport({ backend, note }: HeadReport): void {
    if (connection.phase !== 'connected') return;
    const { companion } = connection;
    if (companion.maps.kind !== 'made') return;
    const { report } = companion.maps;
    if (report.backend === backend && report.note === note) return;
    const maps = { ...companion.maps, report: { ...report, backend, note } };
    setConnection({ ...connection, companion: { ...companion, maps } });
  }

  /** Checks whether the companion is gone, or only the stream broke, and updates the status. */
  async function checkCompanion(): Promise<void> {
    const contact = contacts;
    try {
      await http.checkHealth();
    } catch (error) {
      setFailed(error, contact);
    }
  }

  async function* answer(question: Question, signal: AbortSignal, askedAt: number): AsyncGenerator<RunEvent> {
    // Loaded lazily: the Arrow reader is 40 kB that the first paint does not need.
    const { openRunRows } = await import('../contract/run-rows');
    const { maps: expected, model: asked } = ensureCompanion();
    const sendUnembedding = expected.kind === 'none' && asked.streamsUnembedding;
    const { header, rows } = await openRunRows(await http.generate(question, { sendUnembedding }, signal));
    contacts += 1;
    const pictures = imagesOf(question).map(({ picture }) => picture);
    ensureSameSizes(header, pictures);
    for (const [at, { sha256 }] of imagesOf(header).entries()) {
      if (sha256 !== (await options.encodePicture(pictures[at]!)).pngSha256)
        throw new Error('the companion answered about a different image');
    }
    let first = await rows.next();
    while (!first.done && first.value.kind === 'queued' && first.value.place > 0) {
      yield { type: 'queued', before: first.value.place };
      first = await rows.next();
    }
    const isClosing = !first.done && first.value.kind === 'end' && first.value.end.reason === 'cancelled';
    if (first.done || first.value.kind === 'broken' || isClosing) throw new CompanionGone();
    const companion = ensureCompanion();
    const isStale = !isOf(header, companion.model);
    if (isStale) reconnect();
    const maps = isStale ? restarted(header) : companion.maps;
    yield { type: 'begin', header: headerOf(header, question, maps) };
    const begun = first.value;
    async function* fromFirst() {
      yield begun;
      yield* rows;
    }
    yield* mapsAlongside(states.watch(header.id, fromFirst()), {
      openMaps: (patchStates) =>
        maps.kind === 'made' ? openHeadMaps(head, patchStates, noteReport) : activationMaps(header, signal),
      signal,
      askedAt,
    });
  }

  /** TAM of the tokens that come with their unembedding rows. The states are those that `states` holds. */
  function activationMaps(header: StreamHeader, signal: AbortSignal): TokenMaps {
    return {
      atOnce: 1,
      of: (tokens) =>
        Promise.all(
          tokens
            .filter(({ unembedding }) => unembedding !== undefined)
            .map(({ token }) => activations.mapOf(header, token.index, signal)),
        ),
    };
  }

  return {
    kind: 'companion',
    get model() {
      return connection.companion && modelFacts(connection.companion.model);
    },
    get weights() {
      return connection.companion?.model.weights ?? undefined;
    },
    get status() {
      return status;
    },
    opensWith: 'image',
    get calibrationUrl() {
      const path = connection.companion?.model.calibration?.path;
      return path && new URL(path, http.apiUrl).href;
    },
    get maxImages() {
      return connection.companion?.model.limits.images ?? 1;
    },
    hints: { placeholder: 'Ask about the image', suggestions: ['Describe the image.'] },
    subscribe(onStatus) {
      listeners.add(onStatus);
      return () => listeners.delete(onStatus);
    },
    load: ensureConnected,
    checkQuestion: (text) => (isBlank(text) ? { kind: 'empty' } : undefined),
    async checkImage(image) {
      const model = connection.companion?.model;
      const refusal = model && (await imageRefusal([image], model, options.encodePicture));
      return refusal && `${refusal}.`;
    },
    async *ask(question, signal): AsyncGenerator<RunEvent> {
      const askedAt = performance.now();
      await Promise.race([ensureConnected(), rejectAtAbort(signal)]);
      await ensureAccepted(imagesOf(question), ensureCompanion().model, options.encodePicture);
      const left = new AbortController();
      try {
        for await (const event of answer(question, AbortSignal.any([signal, left.signal]), askedAt)) {
          if (event.type === 'end' && event.end.reason === 'truncated') void checkCompanion();
          yield event;
        }
      } catch (error) {
        if (error instanceof CompanionGone) void checkCompanion();
        throw error;
      } finally {
        // Also aborts the request if the reader stops early.
        left.abort();
      }
    },
    offers: explainer.offers,
    async *explain(request, signal) {
      try {
        yield* explainer.explain(request, signal);
      } catch (error) {
        void checkCompanion();
        throw error;
      }
    },
    destroy() {
      head.destroy();
      activations.destroy();
    },
  };
}

function statusOf(connection: Connection): SourceStatus {
  switch (connection.phase) {
    case 'idle':
      return { phase: 'idle' };
    case 'connecting':
      return { phase: 'loading', ...connection.progress };
    case 'failed':
      return { phase: 'failed', reason: connection.reason };
    case 'connected': {
      const { model, maps } = connection.companion;
      const report = maps.kind === 'made' ? maps.report : undefined;
      const note = maps.kind === 'none' ? maps.why.reason : report?.note;
      return {
        phase: 'ready',
        backend: report?.backend,
        device: model.device,
        ...(note !== undefined && { note }),
        ...(report?.isRestarted && { isRestarted: true }),
      };
    }
  }
}

/** Equal for heads with the same files. */
function keyOf({ files }: CompanionHead): string {
  return [files.graph, files.normGraph, files.weights, files.textWeights].map((file) => file?.sha256).join();
}

function headless(model: CompanionModel): NoHead {
  return { kind: 'absent', reason: `${model.name} has no FastRM head.`, ...training(model) };
}

/** A head imitates Chefer's maps, so none can be trained for a model that rules them out. */
function training({ trainCommand, refusedMethods }: CompanionModel): Pick<NoHead, 'trainCommand'> {
  return refusedMethods.some(({ method }) => method === 'chefer') ? {} : { trainCommand };
}

function misfitOf(model: CompanionModel): NoHead | undefined {
  const { name, hiddenSize, stage, head } = model;
  if (head === null || (head.hiddenSize === hiddenSize && head.stage === stage)) return undefined;
  const input = `reads ${head.stage} states of size ${head.hiddenSize}`;
  const output = `${name} produces ${stage} states of size ${hiddenSize}`;
  return { kind: 'unusable', reason: `Head ${head.name} ${input}, but ${output}.`, ...training(model) };
}

function unusableHead(problem: string): Maps {
  const reason = `The FastRM head could not be used here (${problem}). Ask again to retry.`;
  return { kind: 'none', why: { kind: 'unusable', reason } };
}

/** Whether an answer's states are those that the loaded head reads. */
function isOf(header: StreamHeader, { name, revision, hiddenSize, stage, head }: CompanionModel): boolean {
  const { model } = header;
  const isSameModel = model.name === name && model.revision === revision;
  const hasSameStates = model.hiddenSize === hiddenSize && model.stage === stage;
  return isSameModel && hasSameStates && header.head?.name === head?.name && header.head?.revision === head?.revision;
}

/** A restarted companion may have another head, or one that reads other states. */
function restarted({ model, head }: StreamHeader): Maps {
  const states = `${model.stage} states of size ${model.hiddenSize}`;
  const now = `${model.name} ${model.revision}, ${states}, ${head ? `head ${head.name} ${head.revision}` : 'without a head'}`;
  const reason = `The companion was restarted since this page connected (${now}).`;
  return { kind: 'none', why: { kind: 'unusable', reason: head ? `${reason} Ask again for FastRM maps.` : reason } };
}

function headerOf(header: StreamHeader, question: Question, maps: Maps): RunHeader {
  const { images: _facts, ...rest } = header;
  const withImages = { ...rest, ...askedImages(imagesOf(question)), recorded: false };
  return maps.kind === 'made' ? withImages : { ...withImages, head: undefined, noHead: maps.why };
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
