// Explains a companion's answers. The random control and token activation run in this page; all other methods run in
// the companion.
//
//   explain -> tam, if its states are held: vocabulary rows (HTTP, cached) -> maps from the worker
//           -> otherwise: POST /v1/explain -> parseExplainStream
import type { CompanionModel } from '../contract/companion';
import type { ExpectedExplanation } from '../contract/explain-stream';
import { widenHalfs } from '../contract/half-floats';
import { type MethodId, methodIds, methods } from '../contract/methods';
import type { ExplainEvent, RunHeader } from '../contract/run';
import { patchCount } from '../contract/run-header';
import type { StateRows } from '../contract/run-rows';
import { createActivationClient, type OpenActivations } from '../inference/activation-client';
import { type CompanionHttp, type EncodePicture, ensureAccepted } from './companion-http';
import { explainAtRandom, explainInPage, fastrmRefusal } from './explain-in-page';
import type { ExplainRequest, MethodOffer } from './run-source';
import type { HeldStates, RunStates } from './run-states';

export interface CompanionExplainerOptions {
  readonly http: CompanionHttp;
  readonly states: RunStates;
  /** Undefined while no companion is connected. */
  model(): CompanionModel | undefined;
  readonly encodePicture: EncodePicture;
}

export interface CompanionExplainer {
  offers(header: RunHeader): readonly MethodOffer[];
  explain(request: ExplainRequest, signal: AbortSignal): AsyncGenerator<ExplainEvent>;
  destroy(): void;
}

/** Maximum number of cached rows of the unembedding matrix: 130 MB at d = 4096. */
const maxRows = 8000;

export function createCompanionExplainer({
  http,
  states,
  model,
  encodePicture,
}: CompanionExplainerOptions): CompanionExplainer {
  /** The answer opened in the worker. */
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
      return `This answer is from ${header.model.name} ${header.model.revision}; the companion serves ${connected.name} ${connected.revision}.`;
    }
    if (connected.methods.includes(method) || (method === 'tam' && canActivate(header, connected))) return undefined;
    if (method !== 'tam') return `This companion does not offer ${methods[method].name}.`;
    return 'The hidden states of this answer are no longer stored; ask again to get TAM.';
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

  /** Opens the complete answer, so maps of further tokens are cheap. */
  async function openActivations({ header, tokens }: ExplainRequest, signal: AbortSignal): Promise<OpenActivations> {
    const key = `${header.id} ${tokens.length}`;
    if (open?.key === key) return open.maps;
    const held = states.of(header.id);
    const answerIds = tokens.map(({ tokenId }) => tokenId);
    if (held === undefined || held.queries.length < answerIds.length) {
      throw new Error('some hidden states of this answer are missing; ask again to get TAM');
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

  /** Requests missing rows in batches no larger than the companion's limit. */
  async function vocabularyRows(
    ids: readonly number[],
    { model: { name, revision, hiddenSize } }: RunHeader,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<number, Float32Array>> {
    const { parseUnembedding } = await import('../contract/unembedding');
    const of = `${name} ${revision}`;
    if (vocabulary.of !== of || vocabulary.rows.size > maxRows) vocabulary = { of, rows: new Map() };
    const { rows } = vocabulary;
    const missing = [...new Set(ids)].filter((id) => !rows.has(id));
    const atOnce = model()?.limits.unembeddingIds ?? 1;
    for (let from = 0; from < missing.length; from += atOnce) {
      const batch = missing.slice(from, from + atOnce);
      const unembedding = await parseUnembedding(await http.unembedding(batch, signal), { ids: batch, hiddenSize });
      const sender = `${unembedding.model.name} ${unembedding.model.revision}`;
      if (sender !== of) throw new Error(`the companion now serves ${sender}, but this answer is from ${of}`);
      for (const id of batch) rows.set(id, unembedding.rows.get(id)!);
    }
    return new Map(ids.map((id) => [id, rows.get(id)!]));
  }

  async function* byCompanion(request: ExplainRequest, signal: AbortSignal): AsyncGenerator<ExplainEvent> {
    const { method, header, tokenIndices } = request;
    const expected: ExpectedExplanation = { method, model: header.model, tokenIndices, patches: patchCount(header) };
    // Loaded lazily: the Arrow reader is 40 kB that the first paint does not need.
    const { parseExplainStream } = await import('../contract/explain-stream');
    await ensureAccepted(header.image, model()!, encodePicture);
    // Also aborts the request if the reader stops early.
    const left = new AbortController();
    try {
      const response = await http.explain(request, AbortSignal.any([signal, left.signal]));
      for await (const event of parseExplainStream(response, expected)) {
        if (event.type === 'end' && event.reason === 'cancelled' && !signal.aborted) {
          const { tokens } = event.cost;
          throw new Error(`the companion ended the explanation after ${tokens} of ${tokenIndices.length} tokens`);
        }
        yield event;
      }
    } finally {
      left.abort();
    }
  }

  function eventsOf(request: ExplainRequest, signal: AbortSignal): AsyncGenerator<ExplainEvent> {
    const { method, header } = request;
    const refusal = refusalOf(method, header);
    if (refusal !== undefined) throw new Error(refusal);
    if (method === 'fastrm') throw new Error('FastRM maps come with the answer and cannot be computed later.');
    if (method === 'random') return explainAtRandom(request, signal);
    if (method === 'tam' && canActivate(header, model()!)) return byActivation(request, signal);
    return byCompanion(request, signal);
  }

  return {
    offers: (header) => methodIds.map((method) => ({ method, refusal: refusalOf(method, header) })),
    explain: (request, signal) => cancelledAtAbort(() => eventsOf(request, signal), signal),
    destroy: () => activations.destroy(),
  };
}

/** Turns the error of a request aborted by this page into a `cancelled` end. */
async function* cancelledAtAbort(
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
    // The passes that the companion made before it noticed the abort are not known here.
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

/** Always copies, because the buffer is transferred to the worker. */
function floatsOf({ values }: StateRows): Float32Array {
  return values instanceof Uint16Array ? widenHalfs(values) : values.slice();
}
