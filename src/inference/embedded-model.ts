// Answers a question with the embedded model: image -> patches -> image part of the prompt (once per image) -> question
// -> tokens, each followed immediately by its relevancy map.
import type { ExplainFacts, ModelManifest } from '../contract/manifest';
import type { AnswerToken, ImageGeometry, PromptToken, RelevancyMap, RunEnd } from '../contract/run';
import { macrotask } from '../workers/macrotask';
import { placePiece } from './answer-text';
import { createDecoder, type DecoderStep, joinRows, rowsOf } from './decoder';
import { createExplainer, type Explainer } from './explainer';
import { createGraph } from './graph';
import { chooseHead, type Head, headNote } from './head';
import { createImageEmbedder, type HashedImage } from './image-embedder';
import { mostLikely } from './log-probabilities';
import type { ModelFiles } from './model-files';
import type { PromptTokenizer } from './prompt-tokenizer';
import type { Backend, Runtime } from './runtime';

const alternativeCount = 5;

/** The events of an answer, in order: `seen`, `prompt`, then each `token` followed by its `map`, then `end`. */
export type AnswerEvent =
  | { readonly type: 'seen'; readonly geometry: ImageGeometry; readonly askedAs: string | undefined }
  | { readonly type: 'prompt'; readonly tokens: readonly PromptToken[] }
  | { readonly type: 'token'; readonly token: AnswerToken }
  | { readonly type: 'map'; readonly map: RelevancyMap }
  | { readonly type: 'end'; readonly end: RunEnd };

export interface ImageQuestion {
  readonly image: HashedImage;
  readonly question: string;
  readonly maxNewTokens?: number | undefined;
}

export interface EmbeddedModel {
  /** Where the head runs; may fall back from WebGPU to WASM at any time. */
  readonly backend: Backend;
  readonly note: string | undefined;
  /** After `signal` aborts, ends as `cancelled` within one token. */
  answer(question: ImageQuestion, signal: AbortSignal): AsyncGenerator<AnswerEvent>;
  /** `facts` is the manifest's `explain`; `explainFiles` are its files. */
  createExplainer(facts: ExplainFacts, explainFiles: ModelFiles): Explainer;
}

export interface EmbeddedModelParts {
  readonly manifest: ModelManifest;
  readonly files: ModelFiles;
  readonly tokenizer: PromptTokenizer;
}

/**
 * Vision, embedding and decoder always run on WASM: for a model of this size, a WebGPU step spends more time on readback
 * than on computation. `chooseHead` decides where the head runs.
 */
export async function createEmbeddedModel(runtime: Runtime, parts: EmbeddedModelParts): Promise<EmbeddedModel> {
  const { manifest, files, tokenizer } = parts;
  const { graphs, head: headFacts } = manifest;
  const graph = (path: string) => createGraph(runtime, { name: path, graph: files(path) }, 'wasm');
  const vision = await graph(graphs.vision);
  const decoder = createDecoder(await graph(graphs.embed), await graph(graphs.decoder), manifest.model);
  const embedImage = createImageEmbedder(vision, decoder, tokenizer, manifest.image);
  // The graph refers to the weights by file name only.
  const headWith = (weights: string) => ({
    name: headFacts.graph,
    graph: files(headFacts.graph),
    external: [{ path: fileName(headFacts.weights), data: files(weights) }],
  });
  const headFiles = {
    norm: { name: headFacts.normGraph, graph: files(headFacts.normGraph) },
    head: headWith(headFacts.weights),
    text: headFacts.textWeights === undefined ? undefined : headWith(headFacts.textWeights),
  };
  const chosen = await chooseHead(runtime, headFiles, headFacts.hiddenSize);
  const { head } = chosen;

  interface ReadImage {
    readonly key: string;
    readonly geometry: ImageGeometry;
    readonly step: DecoderStep;
  }
  let last: ReadImage | undefined;

  async function readImage(image: HashedImage): Promise<ReadImage> {
    const { key, geometry, prefix } = await embedImage(image);
    if (last?.key === key) return last;
    last = undefined;
    const step = await decoder.read(decoder.start, prefix);
    const firstPatch = tokenizer.before.length;
    await head.setImage(rowsOf(step.hiddenStates, firstPatch, prefix.dims[1]!));
    last = { key, geometry, step };
    return last;
  }

  async function* answer(
    { image, question, maxNewTokens }: ImageQuestion,
    signal: AbortSignal,
  ): AsyncGenerator<AnswerEvent> {
    const askedAt = performance.now();
    const timing = { answerMs: 0, firstTokenMs: 0 };
    const end = (reason: RunEnd['reason']): AnswerEvent => {
      timing.answerMs = performance.now() - askedAt;
      return { type: 'end', end: { reason, ...timing } };
    };
    const tokenized = tokenizer.tokenizeQuestion(question);
    if (tokenized.kind !== 'tokens') throw new Error(`the question cannot be tokenized: ${tokenized.kind}`);
    const read = await readImage(image);
    yield { type: 'seen', geometry: read.geometry, askedAs: tokenized.askedAs };
    await macrotask();
    if (signal.aborted) return yield end('cancelled');

    const { maxPositions } = manifest.model;
    const promptIds = [...tokenized.ids, ...tokenizer.after];
    yield { type: 'prompt', tokens: promptTokens([...tokenizer.before, ...promptIds]) };
    const room = maxPositions - read.step.state.length - promptIds.length;
    const limit = Math.min(maxNewTokens ?? manifest.prompt.maxNewTokens, manifest.prompt.maxNewTokens, room);
    let step = await decoder.read(read.step.state, await decoder.embed(promptIds));
    // In the order of the `prompt` event: the tokens before the image, then those after it.
    const beforeImage = rowsOf(read.step.hiddenStates, 0, tokenizer.before.length);
    await head.setPrompt(joinRows(beforeImage, step.hiddenStates));
    let word = -1;
    for (let index = 0; index < limit; index++) {
      const likely = mostLikely(step.logits, alternativeCount);
      const { tokenId, logProb } = likely[0]!;
      if (tokenId === manifest.prompt.eosTokenId) return yield end('stop');
      if (index === 0) timing.firstTokenMs = performance.now() - askedAt;
      const { text, startsWord } = placePiece(tokenizer.pieceOf(tokenId), index === 0);
      if (startsWord) word += 1;
      const alternatives = likely.map((other) => ({
        ...other,
        text: placePiece(tokenizer.pieceOf(other.tokenId), index === 0).text,
      }));
      yield { type: 'token', token: { index, tokenId, text, word, logProb, alternatives } };

      const states = step.hiddenStates;
      const map = await mapOf(head, rowsOf(states, states.dims[0]! - 1, states.dims[0]!), index);
      yield { type: 'map', map };
      // Messages, including an abort, are received only between tasks.
      await macrotask();
      if (signal.aborted) return yield end('cancelled');
      if (index + 1 < limit) step = await decoder.read(step.state, await decoder.embed([tokenId]));
    }
    yield end('length');
  }

  function promptTokens(ids: readonly number[]): PromptToken[] {
    return ids.map((tokenId, i) => ({ tokenId, text: placePiece(tokenizer.pieceOf(tokenId), i === 0).text }));
  }

  return {
    get backend() {
      return head.backend;
    },
    get note() {
      return headNote(chosen, runtime);
    },
    answer,
    createExplainer: (facts, explainFiles) =>
      createExplainer(runtime, { manifest, facts, files, explainFiles, decoder, embedImage, tokenizer }),
  };
}

async function mapOf(head: Head, queryState: Parameters<Head['maps']>[0], tokenIndex: number): Promise<RelevancyMap> {
  const from = performance.now();
  const { patches, prompt } = await head.maps(queryState);
  const computeMs = performance.now() - from;
  const text = prompt && { prompt: prompt.data, answer: new Float32Array() };
  return {
    method: 'fastrm',
    tokenIndex,
    values: patches.data,
    backend: head.backend,
    computeMs,
    ...(text && { text }),
  };
}

const fileName = (path: string) => path.split('/').at(-1) ?? path;
