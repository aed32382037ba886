// A run as an Arrow IPC stream, format version 2, written by companion/src/patchlight/wire/run.py.
//
// The schema's metadata holds the header as JSON under `patchlight.run`. Each row is its own record batch, so tokens
// can be read as they arrive. The rows come in the order `queued`*, `image`*, `states`, `prompt`, `token`*, `end`;
// docs/protocol.md describes their columns. States are fp16, or float32 in a separate column if they exceed the fp16
// range. Streams that were asked for unembedding rows have two more columns. Recorded runs whose head also weighs the
// prompt's tokens have `mapPrompt`, and those of a model with a FastRM+ head have `attentionLogits`.
//
//   openRunRows -> rows (typed, in order, shapes checked) -> parseRunStream: a recorded run's events
//                                                         -> the companion source: maps computed from the states

import * as z from 'zod/mini';
import { formatCount } from '../text/number-format';
import type { StateRows } from './answer-states';
import { type ArrowBytes, type ArrowReader, type Broken, headerText, openArrow, readRows } from './arrow-rows';
import { type AnswerToken, imagesOf, type MapBackend, type PromptToken, type RunEnd, type TextRelevancy } from './run';
import { parseStreamHeader, patchCount, type StreamHeader } from './run-header';

const metadataKey = 'patchlight.run';

interface RecordedMap {
  readonly values: Float32Array;
  readonly backend: MapBackend;
  readonly computeMs: number;
  /** Undefined if the head has no output for the prompt's tokens. */
  readonly text?: TextRelevancy;
}

export type RunRow =
  /** `place` is the number of questions ahead in the queue; 0 once this one is being answered. */
  | { readonly kind: 'queued'; readonly place: number }
  /** One per image, in order, or none. */
  | { readonly kind: 'image'; readonly picture: Uint8Array }
  /** [P, d], one row per patch: frames in order, each row-major. */
  | { readonly kind: 'states'; readonly states: StateRows }
  /** [m, d], one row per text token of the prompt. */
  | {
      readonly kind: 'prompt';
      readonly tokens: readonly PromptToken[];
      readonly states: StateRows;
      /** [m, d], the tokens' rows of `lm_head`; undefined unless the stream has them. */
      readonly unembedding: StateRows | undefined;
    }
  /** [1, d]: the state that predicted the token. */
  | {
      readonly kind: 'token';
      readonly token: AnswerToken;
      readonly queryState: StateRows;
      readonly map: RecordedMap | undefined;
      /** [1, d], the token's row of `lm_head`; undefined unless the stream has it. */
      readonly unembedding: StateRows | undefined;
      /** [P]: what FastRM+ adds to its logits; undefined unless the stream has it. */
      readonly attentionLogits: Float32Array | undefined;
    }
  | { readonly kind: 'end'; readonly end: RunEnd }
  /** Reading stopped before the `end` row. */
  | Broken;

export interface RunRows {
  readonly header: StreamHeader;
  /** Ends with `end` or `broken`; throws if a row is invalid, out of order or contradicts the header. */
  readonly rows: AsyncGenerator<RunRow>;
}

/** Throws if the bytes are not a run, or if its format version is not supported. */
export async function openRunRows(bytes: ArrowBytes): Promise<RunRows> {
  const reader = await openArrow(bytes, 'a run');
  const header = parseStreamHeader(headerText(reader, metadataKey, 'a run'));
  return { header, rows: checkedRows(reader, header) };
}

const halfs = z.nullish(z.instanceof(Uint16Array));
const floats = z.nullish(z.instanceof(Float32Array));
const index = z.int().check(z.nonnegative());
const milliseconds = z.number().check(z.nonnegative());
const backend = z.enum(['webgpu', 'wasm', 'python']);
const alternative = z.object({ tokenId: index, text: z.string(), logProb: z.number() });

const cells = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('queued'), place: index }),
  z.object({ kind: z.literal('image'), picture: z.instanceof(Uint8Array) }),
  z.object({ kind: z.literal('states'), states: halfs, states32: floats }),
  z.object({
    kind: z.literal('prompt'),
    promptTokens: z.array(z.object({ tokenId: index, text: z.string() })),
    states: halfs,
    states32: floats,
    unembedding: halfs,
    unembedding32: floats,
  }),
  z.object({
    kind: z.literal('token'),
    index,
    tokenId: index,
    text: z.string(),
    word: index,
    logProb: z.number(),
    alternatives: z.array(alternative),
    queryState: halfs,
    queryState32: floats,
    map: floats,
    mapPrompt: floats,
    mapBackend: z.nullish(backend),
    mapComputeMs: z.nullish(milliseconds),
    unembedding: halfs,
    unembedding32: floats,
    attentionLogits: floats,
  }),
  z.object({
    kind: z.literal('end'),
    reason: z.enum(['stop', 'length', 'cancelled', 'failed', 'truncated']),
    answerMs: milliseconds,
    firstTokenMs: milliseconds,
    message: z.nullish(z.string()),
  }),
]);

type Cells = z.infer<typeof cells>;
type Kind = Cells['kind'];
type TokenCells = Extract<Cells, { kind: 'token' }>;

const order: readonly Kind[] = ['queued', 'image', 'states', 'prompt', 'token', 'end'];
const repeated: readonly Kind[] = ['queued', 'image', 'token'];

async function* checkedRows(reader: ArrowReader, header: StreamHeader): AsyncGenerator<RunRow> {
  const patches = patchCount(header);
  const d = header.model.hiddenSize;
  let last: Kind | undefined;
  let hasStates = false;
  let promptCount = 0;
  let tokenCount = 0;
  let imageCount = 0;
  for await (const row of readRows(reader, 'this run', parseCells)) {
    if (row.kind === 'broken') return yield row;
    ensureOrder(row.kind, last, hasStates);
    last = row.kind;
    switch (row.kind) {
      case 'queued':
        yield row;
        break;
      case 'image':
        imageCount += 1;
        if (imageCount > imagesOf(header).length) throw new Error(imagesProblem(header, imageCount));
        yield row;
        break;
      case 'states':
        if (imageCount > 0 && imageCount < imagesOf(header).length) throw new Error(imagesProblem(header, imageCount));
        hasStates = true;
        yield { kind: 'states', states: stateRows('Image states', row.states, row.states32, patches, d) };
        break;
      case 'prompt': {
        const tokens = row.promptTokens;
        promptCount = tokens.length;
        const states = stateRows('Prompt states', row.states, row.states32, tokens.length, d);
        const unembedding = unembeddingRows('Unembedding of the prompt', row, tokens.length, d);
        yield { kind: 'prompt', tokens, states, unembedding };
        break;
      }
      case 'token': {
        if (row.index !== tokenCount) throw new Error(`Expected token ${tokenCount}, got token ${row.index}`);
        tokenCount += 1;
        const queryState = stateRows(`Query state of token ${row.index}`, row.queryState, row.queryState32, 1, d);
        const unembedding = unembeddingRows(`Unembedding of token ${row.index}`, row, 1, d);
        const map = recordedMap(row, patches, promptCount);
        const attentionLogits = finiteLogits(row, patches);
        yield { kind: 'token', token: answerToken(row), queryState, map, unembedding, attentionLogits };
        break;
      }
      case 'end': {
        const { reason, answerMs, firstTokenMs, message } = row;
        yield { kind: 'end', end: { reason, answerMs, firstTokenMs, ...(message && { message }) } };
        return;
      }
    }
  }
  yield { kind: 'broken', why: 'its end row is missing' };
}

function imagesProblem(header: StreamHeader, found: number): string {
  return `Expected ${formatCount(imagesOf(header).length, 'image', 'images')} as in the header, got ${found}`;
}

function parseCells(row: Record<string, unknown>): Cells {
  const result = cells.safeParse(row);
  if (result.success) return result.data;
  throw new Error(`A row of this run cannot be read: ${z.prettifyError(result.error)}`);
}

function ensureOrder(kind: Kind, last: Kind | undefined, hasStates: boolean): void {
  const isBack = last !== undefined && order.indexOf(kind) < order.indexOf(last);
  if (isBack || (kind === last && !repeated.includes(kind))) {
    throw new Error(`A row of kind ${kind} cannot follow one of kind ${last}`);
  }
  if (!hasStates && (kind === 'prompt' || kind === 'token')) {
    throw new Error(`A row of kind ${kind} comes before the image's states`);
  }
}

type Halfs = z.infer<typeof halfs>;
type Floats = z.infer<typeof floats>;

function stateRows(what: string, half: Halfs, float: Floats, rows: number, cols: number): StateRows {
  const values = half ?? float;
  if (values === undefined || values === null) throw new Error(`${what}: expected fp16 or float32 values, got neither`);
  if (half && float) throw new Error(`${what}: expected fp16 or float32 values, got both`);
  ensureLength(what, values.length, rows * cols);
  return { values, rows, cols };
}

function unembeddingRows(
  what: string,
  { unembedding, unembedding32 }: Pick<TokenCells, 'unembedding' | 'unembedding32'>,
  rows: number,
  cols: number,
): StateRows | undefined {
  return unembedding || unembedding32 ? stateRows(what, unembedding, unembedding32, rows, cols) : undefined;
}

function answerToken({ index, tokenId, text, word, logProb, alternatives }: TokenCells): AnswerToken {
  return { index, tokenId, text, word, logProb, alternatives };
}

function recordedMap(
  { index, map, mapPrompt, mapBackend, mapComputeMs }: TokenCells,
  patches: number,
  promptTokens: number,
): RecordedMap | undefined {
  if (!map || !mapBackend || typeof mapComputeMs !== 'number') return undefined;
  const values = probabilities(`Map of token ${index}`, map, patches, 'header');
  const recorded = { values, backend: mapBackend, computeMs: mapComputeMs };
  if (!mapPrompt) return recorded;
  const prompt = probabilities(`Map of token ${index} over the prompt`, mapPrompt, promptTokens, 'prompt');
  return { ...recorded, text: { prompt, answer: new Float32Array() } };
}

function probabilities(what: string, values: Float32Array, count: number, source: LengthSource): Float32Array {
  ensureLength(what, values.length, count, source);
  const invalid = values.find((value) => !(value >= 0 && value <= 1));
  if (invalid !== undefined) throw new Error(`${what}: expected probabilities, got ${invalid}`);
  return values.slice();
}

function finiteLogits({ index, attentionLogits }: TokenCells, patches: number): Float32Array | undefined {
  if (!attentionLogits) return undefined;
  const what = `Attention logits of token ${index}`;
  ensureLength(what, attentionLogits.length, patches);
  const invalid = attentionLogits.find((value) => !Number.isFinite(value));
  if (invalid !== undefined) throw new Error(`${what}: expected finite numbers, got ${invalid}`);
  return attentionLogits.slice();
}

type LengthSource = 'header' | 'prompt';

function ensureLength(what: string, actual: number, expected: number, source: LengthSource = 'header'): void {
  if (actual !== expected) throw new Error(`${what}: expected ${expected} values as in the ${source}, got ${actual}`);
}
