// Explaining a finished answer: read it again (traced-answer) -> check that it says the same -> a map a token
// (explain-methods), each a step of its own, between which others may use the model.
import type { ExplainFacts, ModelManifest } from '../contract/manifest';
import type { AnswerToken, ExplainEvent } from '../contract/run';
import { createRecent } from '../workers/recent';
import type { Decoder } from './decoder';
import { createExplainMethods } from './explain-methods';
import type { ExplainerMethod } from './explainer-method';
import { createGraph, type Graph } from './graph';
import type { HashedImage, ImageEmbedder } from './image-embedder';
import type { ModelFiles } from './model-files';
import type { PromptTokenizer } from './prompt-tokenizer';
import type { Runtime } from './runtime';
import { createAnswerReader, keyOf, reproductionOf, type TracedAnswer } from './traced-answer';

export interface AnswerToExplain {
  readonly image: HashedImage;
  readonly question: string;
  /** All of the answer. */
  readonly tokens: readonly Pick<AnswerToken, 'tokenId' | 'logProb'>[];
  readonly method: ExplainerMethod;
  readonly tokenIndices: readonly number[];
}

export interface Explainer {
  /** What a method runs on, which `explain` loads too: others may use the model meanwhile. */
  load(method: ExplainerMethod): Promise<void>;
  /** Stops within a token of `signal`; then its end is `cancelled`. */
  explain(asked: AnswerToExplain, signal: AbortSignal): AsyncGenerator<ExplainEvent>;
}

export interface ExplainerParts {
  readonly manifest: ModelManifest;
  /** The manifest's `explain`. */
  readonly facts: ExplainFacts;
  /** The model's own. */
  readonly files: ModelFiles;
  /** Those of `facts`. */
  readonly explainFiles: ModelFiles;
  readonly decoder: Decoder;
  readonly embedImage: ImageEmbedder;
  readonly tokenizer: PromptTokenizer;
}

/** Several methods are asked about one answer, and two answers compared. */
const keptAnswers = 2;

/** All graphs run on WASM: at this model's size a step on WebGPU costs more in reading back than in multiplying. */
export function createExplainer(runtime: Runtime, parts: ExplainerParts): Explainer {
  const { manifest, facts, files, explainFiles, decoder, embedImage, tokenizer } = parts;
  const external = [{ path: facts.weights, data: files(facts.weights) }];
  const graphs = new Map<string, Promise<Graph>>();

  const ensureGraph = (path: string): Promise<Graph> => {
    const found = graphs.get(path) ?? createGraph(runtime, { name: path, graph: explainFiles(path), external }, 'wasm');
    graphs.set(path, found);
    found.catch(() => graphs.delete(path));
    return found;
  };

  const methods = createExplainMethods({ manifest, facts, files: explainFiles, ensureGraph });
  const read = createAnswerReader(() => ensureGraph(facts.trace), decoder, embedImage, tokenizer);
  const answers = createRecent<TracedAnswer>(keptAnswers);

  async function load(method: ExplainerMethod): Promise<void> {
    await Promise.all([ensureGraph(facts.trace), methods[method].load()]);
  }

  async function* explain(
    { image, question, tokens, method: name, tokenIndices }: AnswerToExplain,
    signal: AbortSignal,
  ): AsyncGenerator<ExplainEvent> {
    const method = methods[name];
    const passes = { forward: 0, backward: 0 };
    const clock = createClock();
    let done = 0;
    const end = (reason: 'done' | 'cancelled'): ExplainEvent => {
      const { forward: forwardPasses, backward: backwardPasses } = passes;
      return {
        type: 'end',
        reason,
        cost: { tokens: done, ms: clock.totalMs, forwardPasses, backwardPasses, peakBytes: undefined },
      };
    };

    await load(name);
    if (signal.aborted) return yield end('cancelled');
    const answer = await clock.time(async () => {
      const asked = { image, question, tokenIds: tokens.map(({ tokenId }) => tokenId) };
      const key = keyOf(asked);
      const known = answers.get(key);
      if (known) return known;
      passes.forward += 1;
      return answers.keep(key, await read(asked));
    });
    const logProbs = tokens.map(({ logProb }) => logProb);
    yield { type: 'check', check: reproductionOf(answer, logProbs) };
    if (signal.aborted) return yield end('cancelled');
    const mapOf = await clock.time(() => method.prepare(answer, tokenIndices, passes));
    const sharedMs = clock.totalMs / tokenIndices.length;
    for (const tokenIndex of tokenIndices) {
      if (signal.aborted) return yield end('cancelled');
      const before = clock.totalMs;
      const tokenMap = await clock.time(async () => mapOf(tokenIndex));
      done += 1;
      const computeMs = clock.totalMs - before + sharedMs;
      yield { type: 'map', map: { method: name, tokenIndex, ...tokenMap, backend: method.backend, computeMs } };
    }
    yield end('done');
  }

  return { load, explain };
}

/** Counts what tasks take, and not what comes between them. */
function createClock() {
  let totalMs = 0;
  return {
    get totalMs() {
      return totalMs;
    },
    async time<T>(task: () => Promise<T>): Promise<T> {
      const from = performance.now();
      try {
        return await task();
      } finally {
        totalMs += performance.now() - from;
      }
    },
  };
}
