// Answers a question with the embedded model: image -> patches -> image part of the prompt (once per image) -> question
// -> tokens, each followed immediately by its relevancy map.
import type { StateRows, TokenStates } from '../contract/answer-states';
import type { ExplainFacts, ModelManifest } from '../contract/manifest';
import type { OtherHeadMethod } from '../contract/methods';
import type { AnswerToken, ImageGeometry, PromptToken, RelevancyMap, RunEnd } from '../contract/run';
import { attentionLogits } from '../math/methods/attention-logits';
import { macrotask } from '../workers/macrotask';
import { placePiece } from './answer-text';
import { createDecoder, type DecoderStep, joinRows, rowsOf } from './decoder';
import { createExplainer, type Explainer } from './explainer';
import { createGraph } from './graph';
import { type ChosenHead, chooseHead, type Head, headNote } from './head';
import { createImageEmbedder, type HashedImage } from './image-embedder';
import { mostLikely } from './log-probabilities';
import type { ModelFiles } from './model-files';
import type { PromptTokenizer } from './prompt-tokenizer';
import type { Backend, Runtime } from './runtime';
import type { FloatTensor } from './tensor';

const alternativeCount = 5;

/**
 * The events of an answer, in order: `seen`, `patch-states` if the model has heads besides FastRM's, which read the
 * answer's states later, `prompt`, then each `token` followed by its `map`, then `end`.
 */
export type AnswerEvent =
  | { readonly type: 'seen'; readonly geometry: ImageGeometry; readonly askedAs: string | undefined }
  | { readonly type: 'patch-states'; readonly states: StateRows }
  | { readonly type: 'prompt'; readonly tokens: readonly PromptToken[] }
  | { readonly type: 'token'; readonly token: AnswerToken; readonly states?: TokenStates | undefined }
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
  /** Creates a head besides FastRM's; `headFiles` are those of its facts in the manifest. */
  createOtherHead(method: OtherHeadMethod, headFiles: ModelFiles): Promise<ChosenHead>;
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
  const { graphs, head: headFacts, otherHeads } = manifest;
  const attentionFacts = otherHeads?.['fastrm-plus']?.attention;
  const graph = (path: string) => createGraph(runtime, { name: path, graph: files(path) }, 'wasm');
  const vision = await graph(graphs.vision);
  const decoder = createDecoder(
    await graph(graphs.embed),
    await graph(graphs.decoder),
    manifest.model,
    attentionFacts !== undefined,
  );
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
  const patchColumns = { from: tokenizer.before.length, count: manifest.image.grid.rows * manifest.image.grid.cols };

  const patchStates = ({ hiddenStates }: DecoderStep) =>
    rowsOf(hiddenStates, patchColumns.from, patchColumns.from + patchColumns.count);

  async function readImage(image: HashedImage): Promise<ReadImage> {
    const { key, geometry, prefix } = await embedImage(image);
    if (last?.key === key) return last;
    last = undefined;
    const step = await decoder.read(decoder.start, prefix);
    await head.setImage(patchStates(step));
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
    if (otherHeads) yield { type: 'patch-states', states: stateRows(patchStates(read.step)) };
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
      const count = step.hiddenStates.dims[0]!;
      const query = rowsOf(step.hiddenStates, count - 1, count);
      const token = { index, tokenId, text, word, logProb, alternatives };
      yield { type: 'token', token, ...(otherHeads && { states: tokenStates(query, step) }) };

      const map = await mapOf(head, query, index);
      yield { type: 'map', map };
      // Messages, including an abort, are received only between tasks.
      await macrotask();
      if (signal.aborted) return yield end('cancelled');
      if (index + 1 < limit) step = await decoder.read(step.state, await decoder.embed([tokenId]));
    }
    yield end('length');
  }

  function tokenStates(query: FloatTensor, { attention }: DecoderStep): TokenStates {
    const logits = attention && attentionFacts && attentionLogits(attention, patchColumns, attentionFacts);
    return { query: stateRows(query), attentionLogits: logits };
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
    async createOtherHead(method, otherFiles) {
      const facts = otherHeads?.[method];
      if (facts === undefined) throw new Error(`the model has no head ${method}`);
      const { graph, weights, hiddenSize } = facts;
      const external = [{ path: fileName(weights), data: otherFiles(weights) }];
      const ofHead = { name: graph, graph: otherFiles(graph), external };
      return chooseHead(runtime, { norm: headFiles.norm, head: ofHead }, hiddenSize);
    },
    createExplainer: (facts, explainFiles) =>
      createExplainer(runtime, { manifest, facts, files, explainFiles, decoder, embedImage, tokenizer }),
  };
}

function stateRows({ data, dims }: FloatTensor): StateRows {
  return { values: data, rows: dims[0]!, cols: dims[1]! };
}

async function mapOf(head: Head, queryState: FloatTensor, tokenIndex: number): Promise<RelevancyMap> {
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
