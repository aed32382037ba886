// How answers are explained beside a companion: at random and by token activation in this page, by all else over there.
//
//   explain -> tam, states held: vocabulary rows (HTTP, kept) -> the worker's maps
//           -> any other: POST /v1/explain -> parseExplainStream
import type { CompanionModel } from '../contract/companion';
import type { WantedExplanation } from '../contract/explain-stream';
import { widenHalfs } from '../contract/half-floats';
import { type MethodId, methodIds, methods } from '../contract/methods';
import type { ExplainEvent, RunHeader } from '../contract/run';
import { patchCount } from '../contract/run-header';
import type { StateRows } from '../contract/run-rows';
import { createActivationClient, type OpenActivations } from '../inference/activation-client';
import { type CompanionHttp, ensureTaken } from './companion-http';
import { explainAtRandom, explainInPage, fastrmRefusal } from './explain-in-page';
import type { ExplainRequest, MethodOffer } from './run-source';
import type { HeldStates, RunStates } from './run-states';

export interface CompanionExplainerOptions {
  readonly http: CompanionHttp;
  readonly states: RunStates;
  /** Undefined while nobody is connected. */
  model(): CompanionModel | undefined;
}

export interface CompanionExplainer {
  offers(header: RunHeader): readonly MethodOffer[];
  explain(request: ExplainRequest, signal: AbortSignal): AsyncGenerator<ExplainEvent>;
  destroy(): void;
}

/** Rows of the vocabulary layer that are kept at most: 130 MB at d = 4096. */
const mostRows = 8000;

export function createCompanionExplainer({ http, states, model }: CompanionExplainerOptions): CompanionExplainer {
  /** The answer that the worker has. */
  let open: { readonly key: string; readonly maps: OpenActivations } | undefined;
  const activations = createActivationClient(() => {
    open = undefined;
  });
  let vocabulary = { of: '', rows: new Map<number, Float32Array>() };

  function refusalOf(method: MethodId, header: RunHeader): string | undefined {
    if (method === 'random') return undefined;
    if (method === 'fastrm') return fastrmRefusal(header);
    const connected = model();
    if (connected === undefined) return 'The companion is not connected.';
    if (!isOf(header, connected)) {
      return `This answer is of ${header.model.name} ${header.model.revision}; the companion has ${connected.name} ${connected.revision}.`;
    }
    if (connected.methods.includes(method) || (method === 'tam' && canActivate(header, connected))) return undefined;
    if (method !== 'tam') return `This companion offers no ${methods[method].name}.`;
    return 'The hidden states of this answer are no longer at hand: ask again for TAM.';
  }

  function canActivate({ id }: RunHeader, { unembedding }: CompanionModel): boolean {
    return unembedding && states.of(id) !== undefined;
  }

  async function* byActivation(request: ExplainRequest, signal: AbortSignal): AsyncGenerator<ExplainEvent> {
    const maps = await openActivations(request, signal);
    yield* explainInPage(request, signal, async (tokenIndex) => {
      const { values, prompt, answer, computeMs } = await maps.mapOf(tokenIndex);
      return { method: 'tam', tokenIndex, values, backend: 'script', computeMs, text: { prompt, answer } };
    });
  }

  /** The whole answer at once: the next of its tokens costs little then. */
  async function openActivations({ header, tokens }: ExplainRequest, signal: AbortSignal): Promise<OpenActivations> {
    const key = `${header.id} ${tokens.length}`;
    if (open?.key === key) return open.maps;
    const held = states.of(header.id);
    const answerIds = tokens.map(({ tokenId }) => tokenId);
    if (held === undefined || held.queries.length < answerIds.length) {
      throw new Error('the hidden states of this answer are not all at hand: ask again for TAM');
    }
    const unembedding = await vocabularyRows([...held.promptIds, ...answerIds], header, signal);
    const maps = activations.open({
      ...widened(held, answerIds.length),
      promptIds: held.promptIds,
      answerIds,
      hiddenSize: header.model.hiddenSize,
      unembedding,
      grids: header.geometry.frames.map(({ grid }) => grid),
    });
    open = { key, maps };
    return maps;
  }

  /** Those that are missing here are asked for, as many at once as the companion gives. */
  async function vocabularyRows(
    ids: readonly number[],
    { model: { name, revision, hiddenSize } }: RunHeader,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, Float32Array>> {
    const { parseUnembedding } = await import('../contract/unembedding');
    const of = `${name} ${revision}`;
    if (vocabulary.of !== of || vocabulary.rows.size > mostRows) vocabulary = { of, rows: new Map() };
    const { rows } = vocabulary;
    const missing = [...new Set(ids)].filter((id) => !rows.has(id));
    const atOnce = model()?.limits.unembeddingIds ?? 1;
    for (let from = 0; from < missing.length; from += atOnce) {
      const asked = missing.slice(from, from + atOnce);
      const found = await parseUnembedding(await http.unembedding(asked, signal), { ids: asked, hiddenSize });
      const sender = `${found.model.name} ${found.model.revision}`;
      if (sender !== of) throw new Error(`the companion has ${sender} by now, this answer is of ${of}`);
      for (const id of asked) rows.set(id, found.rows.get(id)!);
    }
    return new Map(ids.map((id) => [id, rows.get(id)!]));
  }

  async function* byCompanion(request: ExplainRequest, signal: AbortSignal): AsyncGenerator<ExplainEvent> {
    const { method, header, tokenIndices } = request;
    const wanted: WantedExplanation = { method, model: header.model, tokenIndices, patches: patchCount(header) };
    // Reading Arrow is 40 kB that the first paint can do without.
    const { parseExplainStream } = await import('../contract/explain-stream');
    ensureTaken(header.image, model()!);
    // Also where the reader leaves early: nobody wants the rest.
    const stop = new AbortController();
    const abort = () => stop.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) abort();
      for await (const event of parseExplainStream(await http.explain(request, stop.signal), wanted)) {
        if (event.type === 'end' && event.reason === 'cancelled' && !signal.aborted) {
          const { tokens } = event.cost;
          throw new Error(`the companion ended the explanation after ${tokens} of ${tokenIndices.length} tokens`);
        }
        yield event;
      }
    } finally {
      signal.removeEventListener('abort', abort);
      stop.abort();
    }
  }

  function eventsOf(request: ExplainRequest, signal: AbortSignal): AsyncGenerator<ExplainEvent> {
    const { method, header } = request;
    const refusal = refusalOf(method, header);
    if (refusal !== undefined) throw new Error(refusal);
    if (method === 'fastrm') throw new Error('FastRM’s maps come with the answer; there are no others.');
    if (method === 'random') return explainAtRandom(request, signal);
    if (method === 'tam' && canActivate(header, model()!)) return byActivation(request, signal);
    return byCompanion(request, signal);
  }

  return {
    offers: (header) => methodIds.map((method) => ({ method, refusal: refusalOf(method, header) })),
    explain: (request, signal) => endedAtAbort(() => eventsOf(request, signal), signal),
    destroy: () => activations.destroy(),
  };
}

/** What a broken-off request throws ends as cancelled, where it was broken off from here. */
async function* endedAtAbort(
  explain: () => AsyncGenerator<ExplainEvent>,
  signal: AbortSignal,
): AsyncGenerator<ExplainEvent> {
  const from = performance.now();
  let tokens = 0;
  try {
    for await (const event of explain()) {
      if (event.type === 'map') tokens += 1;
      yield event;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    // What the companion did until it noticed is not known here.
    const cost = { tokens, ms: performance.now() - from, forwardPasses: 0, backwardPasses: 0, peakBytes: undefined };
    yield { type: 'end', reason: 'cancelled', cost };
  }
}

function isOf({ model }: RunHeader, { name, revision }: CompanionModel): boolean {
  return model.name === name && model.revision === revision;
}

function widened({ patches, prompt, queries }: HeldStates, tokens: number) {
  const queryStates = new Float32Array(tokens * patches.cols);
  for (const [t, query] of queries.slice(0, tokens).entries()) queryStates.set(floatsOf(query), t * patches.cols);
  return { patchStates: floatsOf(patches), promptStates: floatsOf(prompt), queryStates };
}

/** A copy in any case: the worker takes it away. */
function floatsOf({ values }: StateRows): Float32Array {
  return values instanceof Uint16Array ? widenHalfs(values) : values.slice();
}
