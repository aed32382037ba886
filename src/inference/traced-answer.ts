// Reruns a complete answer in one pass over prompt and tokens: the input of all gradient and attention methods.
import type { ReproductionCheck, TextRelevancy } from '../contract/run';
import type { PatchColumns } from '../math/methods/dex-ar';
import { concatenate, type Decoder, rowsOf } from './decoder';
import type { Graph } from './graph';
import type { HashedImage, ImageEmbedder } from './image-embedder';
import { mostLikely } from './log-probabilities';
import type { PromptTokenizer } from './prompt-tokenizer';
import type { FloatTensor } from './tensor';

export interface AnswerToTrace {
  readonly image: HashedImage;
  readonly question: string;
  /** All tokens of the answer. */
  readonly tokenIds: readonly number[];
}

export interface TracedAnswer {
  readonly columns: AnswerColumns;
  readonly promptIds: readonly number[];
  readonly answerIds: readonly number[];
  /** [n, d] each, for the n columns before the last token: the inputs and outputs of each layer's blocks. */
  readonly passed: Readonly<Record<string, FloatTensor>>;
  /** [n, d] last hidden states. */
  readonly states: FloatTensor;
  /** [T, V], for the rows that predict the tokens. */
  readonly logits: FloatTensor;
}

/** Positions of prompt, patches and answer in the sequence: text, patches, text, answer. */
export interface AnswerColumns {
  readonly patches: PatchColumns;
  readonly promptLength: number;
}

/** Cache key: equal for the same image, question and tokens. */
export function keyOf({ image, question, tokenIds }: AnswerToTrace): string {
  return JSON.stringify([image.sha256, question, tokenIds]);
}

export function createAnswerReader(
  ensureGraph: () => Promise<Graph>,
  decoder: Decoder,
  embedImage: ImageEmbedder,
  tokenizer: PromptTokenizer,
): (answer: AnswerToTrace) => Promise<TracedAnswer> {
  return async ({ image, question, tokenIds }) => {
    const tokenized = tokenizer.tokenizeQuestion(question);
    if (tokenized.kind !== 'tokens') throw new Error(`the question cannot be tokenized: ${tokenized.kind}`);
    const { prefix } = await embedImage(image);
    const textIds = [...tokenized.ids, ...tokenizer.after];
    // The last token is only predicted, so it is not an input.
    const embeds = concatenate(prefix, await decoder.embed([...textIds, ...tokenIds.slice(0, -1)]));
    const input = { data: embeds.data, dims: embeds.dims.slice(1) };
    const graph = await ensureGraph();
    const { logits, states, ...passed } = await graph.run({ 'x.0': input }, ['logits']);
    const from = tokenizer.before.length;
    const promptLength = prefix.dims[1]! + textIds.length;
    return {
      columns: { patches: { from, count: prefix.dims[1]! - from }, promptLength },
      promptIds: [...tokenizer.before, ...textIds],
      answerIds: tokenIds,
      passed: { 'x.0': input, ...passed },
      states: states!,
      logits: rowsOf(logits!, promptLength - 1, promptLength - 1 + tokenIds.length),
    };
  };
}

/** The row whose logits predict a token; its map covers the columns up to it. */
export function rowOf({ promptLength }: AnswerColumns, tokenIndex: number): number {
  return promptLength - 1 + tokenIndex;
}

// Nats by which a log-probability may change with the order of float32 sums.
const AS_LIKELY_NATS = 1e-3;

/** `logProbs`: [T], as streamed. */
export function reproductionOf({ logits, answerIds }: TracedAnswer, logProbs: readonly number[]): ReproductionCheck {
  let isSame = true;
  let largestDifference = 0;
  for (const [t, id] of answerIds.entries()) {
    const row = rowsOf(logits, t, t + 1).data;
    const likely = mostLikely(row, row.length);
    const logProb = likely.find(({ tokenId }) => tokenId === id)?.logProb ?? Number.NEGATIVE_INFINITY;
    const difference = Math.abs(logProb - logProbs[t]!);
    isSame &&= likely[0]!.tokenId === id || difference <= AS_LIKELY_NATS;
    largestDifference = Math.max(largestDifference, difference);
  }
  return { isSame, largestDifference };
}

/**
 * Splits per-column values into the map and the text relevancy. There must be a value for every column up to the
 * token's row.
 */
export function columnParts(
  relevancy: Float32Array,
  columns: AnswerColumns,
  tokenIndex: number,
): { readonly values: Float32Array; readonly text: TextRelevancy } {
  const { patches, promptLength } = columns;
  const prompt = textRows({ data: relevancy, dims: [relevancy.length, 1] }, columns).data;
  const answer = relevancy.slice(promptLength, promptLength + tokenIndex);
  return { values: relevancy.slice(patches.from, patches.from + patches.count), text: { prompt, answer } };
}

/** Returns the rows [m, w] of the prompt's text tokens, selected from `rows` [n, w]. */
export function textRows(rows: FloatTensor, { patches: { from, count }, promptLength }: AnswerColumns): FloatTensor {
  const [before, after] = [rowsOf(rows, 0, from), rowsOf(rows, from + count, promptLength)];
  const data = new Float32Array(before.data.length + after.data.length);
  data.set(before.data);
  data.set(after.data, before.data.length);
  return { data, dims: [before.dims[0]! + after.dims[0]!, rows.dims[1]!] };
}
