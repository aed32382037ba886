// A finished answer read again in one pass, prompt and tokens at once: what every gradient and attention method starts from.
import type { ReproductionCheck, TextRelevancy } from '../contract/run';
import { sha256Hex } from '../contract/sha256';
import type { PatchColumns } from '../math/methods/dex-ar';
import { concatenate, type Decoder, rowsOf } from './decoder';
import type { Graph } from './graph';
import type { ImageEmbedder } from './image-embedder';
import { mostLikely } from './log-probabilities';
import type { PromptTokenizer } from './prompt-tokenizer';
import type { FloatTensor } from './tensor';

export interface AnswerToTrace {
  readonly image: Blob;
  readonly question: string;
  /** All of the answer. */
  readonly tokenIds: readonly number[];
}

export interface TracedAnswer {
  readonly columns: AnswerColumns;
  readonly promptIds: readonly number[];
  readonly answerIds: readonly number[];
  /** [n, d] each, of the n columns before the last token's own: what goes into and out of the blocks of each layer. */
  readonly passed: Readonly<Record<string, FloatTensor>>;
  /** [n, d] last hidden states. */
  readonly states: FloatTensor;
  /** [T, V], of the rows that predict the tokens. */
  readonly logits: FloatTensor;
}

/** Where prompt, patches and answer lie in the sequence: text, patches, text, answer. */
export interface AnswerColumns {
  readonly patches: PatchColumns;
  readonly promptLength: number;
}

/** The same for the same image, question and tokens. */
export async function keyOf({ image, question, tokenIds }: AnswerToTrace): Promise<string> {
  const sha256 = await sha256Hex(new Uint8Array(await image.arrayBuffer()));
  return JSON.stringify([sha256, question, tokenIds]);
}

export function createAnswerReader(
  ensureGraph: () => Promise<Graph>,
  decoder: Decoder,
  embedImage: ImageEmbedder,
  tokenizer: PromptTokenizer,
): (answer: AnswerToTrace) => Promise<TracedAnswer> {
  return async ({ image, question, tokenIds }) => {
    const reading = tokenizer.readQuestion(question);
    if (reading.kind !== 'tokens') throw new Error(`the question cannot be read: ${reading.kind}`);
    const { prefix } = await embedImage(image);
    const asked = [...reading.ids, ...tokenizer.after];
    // The last token is predicted and never read.
    const embeds = concatenate(prefix, await decoder.embed([...asked, ...tokenIds.slice(0, -1)]));
    const input = { data: embeds.data, dims: embeds.dims.slice(1) };
    const graph = await ensureGraph();
    const { logits, states, ...passed } = await graph.run({ 'x.0': input }, ['logits']);
    const from = tokenizer.before.length;
    const promptLength = prefix.dims[1]! + asked.length;
    return {
      columns: { patches: { from, count: prefix.dims[1]! - from }, promptLength },
      promptIds: [...tokenizer.before, ...asked],
      answerIds: tokenIds,
      passed: { 'x.0': input, ...passed },
      states: states!,
      logits: rowsOf(logits!, promptLength - 1, promptLength - 1 + tokenIds.length),
    };
  };
}

/** The row whose logits predict a token: its map is read there, over the columns up to it. */
export function rowOf({ promptLength }: AnswerColumns, tokenIndex: number): number {
  return promptLength - 1 + tokenIndex;
}

// Nats that a log-probability may move by in another order of float32 sums.
const AS_LIKELY_NATS = 1e-3;

/** logProbs [T], as they were streamed. */
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

/** One value a column, up to the token's row or further, as a map and the text beside it. */
export function columnParts(
  found: Float32Array,
  columns: AnswerColumns,
  tokenIndex: number,
): { readonly values: Float32Array; readonly text: TextRelevancy } {
  const { patches, promptLength } = columns;
  const prompt = textRows({ data: found, dims: [found.length, 1] }, columns).data;
  const answer = found.slice(promptLength, promptLength + tokenIndex);
  return { values: found.slice(patches.from, patches.from + patches.count), text: { prompt, answer } };
}

/** [m, w] of the prompt's text, from [n, w]. */
export function textRows(rows: FloatTensor, { patches: { from, count }, promptLength }: AnswerColumns): FloatTensor {
  const [before, after] = [rowsOf(rows, 0, from), rowsOf(rows, from + count, promptLength)];
  const data = new Float32Array(before.data.length + after.data.length);
  data.set(before.data);
  data.set(after.data, before.data.length);
  return { data, dims: [before.dims[0]! + after.dims[0]!, rows.dims[1]!] };
}
