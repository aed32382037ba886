// Explains a complete answer: rerun it (traced-answer) -> check that it is reproduced -> one map per token
// (explain-methods). Each map is a separate step, so other callers can use the model between two maps.
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
  /** All tokens of the answer. */
  readonly tokens: readonly Pick<AnswerToken, 'tokenId' | 'logProb'>[];
  readonly method: ExplainerMethod;
  readonly tokenIndices: readonly number[];
}

export interface Explainer {
  /** Loads the method's graphs; other callers can use the model meanwhile. `explain` loads them itself if needed. */
  load(method: ExplainerMethod): Promise<void>;
  /** After `signal` aborts, ends as `cancelled` within one token. */
  explain(request: AnswerToExplain, signal: AbortSignal): AsyncGenerator<ExplainEvent>;
}

export interface ExplainerParts {
  readonly manifest: ModelManifest;
  /** The manifest's `explain`. */
  readonly facts: ExplainFacts;
  /** The model's files. */
  readonly files: ModelFiles;
  /** The files of `facts`. */
  readonly explainFiles: ModelFiles;
  readonly decoder: Decoder;
  readonly embedImage: ImageEmbedder;
  readonly tokenizer: PromptTokenizer;
}

/** Number of traced answers to keep: several methods explain the same answer, and the user may compare two answers. */
const maxAnswers = 2;

/** All graphs run on WASM: for a model of this size, a WebGPU step spends more time on readback than on computation. */
export function createExplainer(runtime: Runtime, parts: ExplainerParts): Explainer {
  const { manifest, facts, files, explainFiles, decoder, embedImage, tokenizer } = parts;
  const external = [{ path: facts.weights, data: files(facts.weights) }];
  const graphs = new Map<string, Promise<Graph>>();

  const ensureGraph = (path: string): Promise<Graph> => {
    const graph = graphs.get(path) ?? createGraph(runtime, { name: path, graph: explainFiles(path), external }, 'wasm');
    graphs.set(path, graph);
    graph.catch(() => graphs.delete(path));
    return graph;
  };

  const methods = createExplainMethods({ manifest, facts, files: explainFiles, ensureGraph });
  const read = createAnswerReader(() => ensureGraph(facts.trace), decoder, embedImage, tokenizer);
  const answers = createRecent<TracedAnswer>(maxAnswers);

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
      const request = { image, question, tokenIds: tokens.map(({ tokenId }) => tokenId) };
      const key = keyOf(request);
      const known = answers.get(key);
      if (known) return known;
      passes.forward += 1;
      return answers.keep(key, await read(request));
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

/** Adds up the duration of tasks, excluding the time between them. */
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
