// An explanation as an Arrow IPC stream, format version 1, written by companion/src/patchlight/wire/explanation.py.
//
// The schema's metadata holds the header as JSON under `patchlight.explain`. Each row is one record batch: `queued`*,
// `check`, `map`*, `end`; docs/protocol.md describes their columns.

import * as z from 'zod/mini';
import { type ArrowBytes, headerText, openArrow, readRows } from './arrow-rows';
import { type MethodId, methodIds } from './methods';
import type { ExplainCost, ExplainEvent, RelevancyMap } from './run';

const metadataKey = 'patchlight.explain';
const supportedVersion = 1;
const what = 'this explanation';

/** The requested explanation; a stream that does not match it is rejected. */
export interface ExpectedExplanation {
  readonly method: MethodId;
  readonly model: { readonly name: string; readonly revision: string };
  /** In the order in which their maps arrive. */
  readonly tokenIndices: readonly number[];
  /** P, the number of patches over all frames. */
  readonly patches: number;
}

/**
 * Yields events as they arrive; `queued` only while other requests are ahead. Throws if the bytes are not an
 * explanation in this version or not the expected one, if a row is invalid, out of order or contradicts the header, if
 * the companion failed, or if the bytes end early. Maps that arrived before the error have already been yielded.
 */
export async function* parseExplainStream(
  bytes: ArrowBytes,
  expected: ExpectedExplanation,
): AsyncGenerator<ExplainEvent> {
  const reader = await openArrow(bytes, 'an explanation');
  const header = parseHeader(headerText(reader, metadataKey, 'an explanation'));
  ensureExpected(header, expected);
  let last: Kind | undefined;
  let maps = 0;
  for await (const row of readRows(reader, what, parseCells)) {
    if (row.kind === 'broken') throw new Error(cutOff(maps, expected, row.why));
    ensureOrder(row.kind, last);
    last = row.kind;
    switch (row.kind) {
      case 'queued':
        if (row.place > 0) yield { type: 'queued', before: row.place };
        break;
      case 'check':
        yield { type: 'check', check: { isSame: row.isSame, largestDifference: row.largestDifference } };
        break;
      case 'map':
        yield { type: 'map', map: mapOf(row, header, maps) };
        maps += 1;
        break;
      case 'end': {
        if (row.reason === 'failed') throw new Error(row.message ?? 'the companion could not explain this answer');
        if (row.reason === 'done' && maps < expected.tokenIndices.length) {
          throw new Error(`This explanation ends after ${maps} of ${expected.tokenIndices.length} tokens`);
        }
        yield { type: 'end', reason: row.reason, cost: costOf(row, maps) };
        return;
      }
    }
  }
  throw new Error(cutOff(maps, expected, 'its end row is missing'));
}

const index = z.int().check(z.nonnegative());
const milliseconds = z.number().check(z.nonnegative());
const floats = z.instanceof(Float32Array);

const headerShape = z.object({
  id: z.string(),
  method: z.enum(methodIds),
  model: z.object({ name: z.string(), revision: z.string() }),
  tokenIndices: z.array(index),
  patches: index,
  promptTokens: index,
});

type Header = z.infer<typeof headerShape>;

const cells = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('queued'), place: index }),
  z.object({ kind: z.literal('check'), isSame: z.boolean(), largestDifference: z.number().check(z.nonnegative()) }),
  z.object({
    kind: z.literal('map'),
    tokenIndex: index,
    values: floats,
    prompt: z.nullish(floats),
    answer: z.nullish(floats),
    grounding: z.nullish(z.number().check(z.nonnegative())),
    ms: milliseconds,
  }),
  z.object({
    kind: z.literal('end'),
    reason: z.enum(['done', 'cancelled', 'failed']),
    tokens: index,
    ms: milliseconds,
    forwardPasses: index,
    backwardPasses: index,
    // Arrow returns 64-bit integers as bigints.
    peakBytes: z.nullish(z.bigint()),
    message: z.nullish(z.string()),
  }),
]);

type Cells = z.infer<typeof cells>;
type Kind = Cells['kind'];
type MapCells = Extract<Cells, { kind: 'map' }>;
type EndCells = Extract<Cells, { kind: 'end' }>;

const order: readonly Kind[] = ['queued', 'check', 'map', 'end'];
const repeated: readonly Kind[] = ['queued', 'map'];

function parseHeader(text: string): Header {
  const data = parseJson(text);
  const version = z.safeParse(z.object({ formatVersion: z.unknown() }), data).data?.formatVersion;
  if (version !== supportedVersion) {
    throw new Error(`This explanation has format version ${version}; this page supports version ${supportedVersion}`);
  }
  const result = headerShape.safeParse(data);
  if (result.success) return result.data;
  throw new Error(`This explanation's header cannot be read: ${z.prettifyError(result.error)}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("This explanation's header cannot be read: it is not JSON");
  }
}

function parseCells(row: Record<string, unknown>): Cells {
  const result = cells.safeParse(row);
  if (result.success) return result.data;
  throw new Error(`A row of ${what} cannot be read: ${z.prettifyError(result.error)}`);
}

function ensureExpected(header: Header, { method, model, tokenIndices, patches }: ExpectedExplanation): void {
  const facts = [
    ['method', header.method, method],
    ['model', `${header.model.name} ${header.model.revision}`, `${model.name} ${model.revision}`],
    ['tokens', header.tokenIndices.join(), tokenIndices.join()],
    ['patches', header.patches, patches],
  ] as const;
  const mismatch = facts.find(([, actual, expected]) => actual !== expected);
  if (mismatch) {
    const [name, actual, expected] = mismatch;
    throw new Error(`This explanation does not match the request: expected ${name} ${expected}, got ${actual}`);
  }
}

function ensureOrder(kind: Kind, last: Kind | undefined): void {
  const isBack = last !== undefined && order.indexOf(kind) < order.indexOf(last);
  if (isBack || (kind === last && !repeated.includes(kind))) {
    throw new Error(`A row of kind ${kind} cannot follow one of kind ${last}`);
  }
}

function mapOf(row: MapCells, { method, tokenIndices, patches, promptTokens }: Header, maps: number): RelevancyMap {
  const { tokenIndex, values, prompt, answer, grounding, ms } = row;
  const nextToken = tokenIndices[maps];
  if (tokenIndex !== nextToken) {
    const next = nextToken === undefined ? 'the end row' : `the map of token ${nextToken}`;
    throw new Error(`Expected ${next}, got the map of token ${tokenIndex}`);
  }
  if ((prompt === null) !== (answer === null)) {
    throw new Error(`The map of token ${tokenIndex} must weigh both prompt and answer, or neither`);
  }
  // Copy the values: the batch's buffer holds more than this row.
  return {
    method,
    tokenIndex,
    values: ensureValues(`patches of token ${tokenIndex}`, values, patches),
    backend: 'python',
    computeMs: ms,
    ...(prompt &&
      answer && {
        text: {
          prompt: ensureValues(`prompt of token ${tokenIndex}`, prompt, promptTokens),
          answer: ensureValues(`answer before token ${tokenIndex}`, answer, tokenIndex),
        },
      }),
    ...(typeof grounding === 'number' && { grounding }),
  };
}

function ensureValues(of: string, values: Float32Array, length: number): Float32Array {
  if (values.length !== length) throw new Error(`Relevancy of ${of}: expected ${length} values, got ${values.length}`);
  const invalid = values.find((value) => !(value >= 0 && value < Number.POSITIVE_INFINITY));
  if (invalid !== undefined)
    throw new Error(`Relevancy of ${of}: expected finite values of at least 0, got ${invalid}`);
  return values.slice();
}

function costOf({ tokens, ms, forwardPasses, backwardPasses, peakBytes }: EndCells, maps: number): ExplainCost {
  // An interrupted explanation reports 0 tokens even if it sent maps, so the maps are counted here.
  if (tokens !== maps && tokens !== 0) throw new Error(`The end row counts ${tokens} tokens, but ${maps} maps arrived`);
  return {
    tokens: maps,
    ms,
    forwardPasses,
    backwardPasses,
    peakBytes: peakBytes == null ? undefined : Number(peakBytes),
  };
}

function cutOff(maps: number, { tokenIndices }: ExpectedExplanation, why: string): string {
  return `The explanation was cut off after ${maps} of ${tokenIndices.length} tokens: ${why}`;
}
