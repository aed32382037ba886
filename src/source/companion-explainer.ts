// Explains a companion's answers. The random control and token activation run in this page; all other methods run in
// the companion.
//
//   explain -> tam, if its states are held: answer-activations
//           -> otherwise: POST /v1/explain -> parseExplainStream
import type { CompanionModel } from '../contract/companion';
import type { ExpectedExplanation } from '../contract/explain-stream';
import { isOtherHeadMethod, type MethodId, methodIds, methods, type OtherHeadMethod } from '../contract/methods';
import { type ExplainEvent, imagesOf, type RunHeader } from '../contract/run';
import { patchCount } from '../contract/run-header';
import type { AnswerActivations } from './answer-activations';
import { type CompanionHttp, type EncodePicture, ensureAccepted } from './companion-http';
import { explainAtRandom, explainInPage, fastrmRefusal } from './explain-in-page';
import type { ExplainRequest, MethodOffer } from './run-source';
import type { RunStates } from './run-states';

export interface CompanionExplainerOptions {
  readonly http: CompanionHttp;
  readonly states: RunStates;
  readonly activations: AnswerActivations;
  /** Undefined while no companion is connected. */
  model(): CompanionModel | undefined;
  readonly encodePicture: EncodePicture;
}

export interface CompanionExplainer {
  offers(header: RunHeader): readonly MethodOffer[];
  explain(request: ExplainRequest, signal: AbortSignal): AsyncGenerator<ExplainEvent>;
}

export function createCompanionExplainer({
  http,
  states,
  activations,
  model,
  encodePicture,
}: CompanionExplainerOptions): CompanionExplainer {
  function refusalOf(method: MethodId, header: RunHeader): string | undefined {
    if (method === 'random') return undefined;
    if (method === 'fastrm') return fastrmRefusal(header);
    if (isOtherHeadMethod(method)) return otherHeadRefusals[method];
    const connected = model();
    if (method === 'tam' && canActivate(header, connected)) return undefined;
    if (connected === undefined) return 'The companion is not connected.';
    if (!isOf(header, connected)) {
      return `This answer is from ${header.model.name} ${header.model.revision}; the companion serves ${connected.name} ${connected.revision}.`;
    }
    if (connected.methods.includes(method)) return undefined;
    const refused = connected.refusedMethods.find((one) => one.method === method);
    if (refused !== undefined) return `Not possible with this model: ${refused.reason}.`;
    if (method !== 'tam') return `This companion does not offer ${methods[method].name}.`;
    return 'The hidden states of this answer are no longer stored; ask again to get TAM.';
  }

  /** Whether this page can compute TAM: it holds the states, and it holds or can request the unembedding rows. */
  function canActivate(header: RunHeader, connected: CompanionModel | undefined): boolean {
    const held = states.of(header.id);
    if (held === undefined) return false;
    const isHeld = [...held.promptIds, ...held.answerIds].every((id) => held.unembedding.has(id));
    return isHeld || (connected !== undefined && isOf(header, connected) && connected.unembedding);
  }

  async function* byCompanion(request: ExplainRequest, signal: AbortSignal): AsyncGenerator<ExplainEvent> {
    const { method, header, tokenIndices } = request;
    const expected: ExpectedExplanation = { method, model: header.model, tokenIndices, patches: patchCount(header) };
    // Loaded lazily: the Arrow reader is 40 kB that the first paint does not need.
    const { parseExplainStream } = await import('../contract/explain-stream');
    await ensureAccepted(imagesOf(header), model()!, encodePicture);
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
    if (method === 'tam' && canActivate(header, model())) {
      return explainInPage(request, signal, (tokenIndex) => activations.mapOf(header, tokenIndex, signal));
    }
    return byCompanion(request, signal);
  }

  return {
    offers: (header) => methodIds.map((method) => ({ method, refusal: refusalOf(method, header) })),
    explain: (request, signal) => cancelledAtAbort(() => eventsOf(request, signal), signal),
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

const otherHeadRefusals: Readonly<Record<OtherHeadMethod, string>> = {
  'fastrm-paper': 'A companion serves only one head, FastRM’s.',
  'fastrm-plus':
    'A companion serves only one head, FastRM’s, and does not send the attention that FastRM+ needs besides hidden states.',
};

function isOf({ model }: RunHeader, { name, revision }: CompanionModel): boolean {
  return model.name === name && model.revision === revision;
}
