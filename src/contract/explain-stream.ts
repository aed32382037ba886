// An explanation as bytes: an Arrow IPC stream, format version 1, written by
// companion/src/patchlight/wire/explanation.py.
//
// The schema's metadata holds the header as JSON under `patchlight.explain`. One row is one record batch: `queued`*,
// `check`, `map`*, `end`; docs/protocol.md says what each holds.

import * as z from 'zod/mini';
import { type ArrowBytes, headerText, openArrow, readRows } from './arrow-rows';
import { type MethodId, methodIds } from './methods';
import type { ExplainCost, ExplainEvent, RelevancyMap } from './run';

const metadataKey = 'patchlight.explain';
const supportedVersion = 1;
const what = 'this explanation';

/** What is wanted: the stream is held to it. */
export interface WantedExplanation {
  readonly method: MethodId;
  readonly model: { readonly name: string; readonly revision: string };
  /** In the order of their maps. */
  readonly tokenIndices: readonly number[];
  /** P: of all frames. */
  readonly patches: number;
}

/**
 * Events as they come, `queued` left out once nobody is before it. Throws where the bytes are no explanation of this
 * version or of something else than was wanted, where a row contradicts the header, its order or itself, where the
 * companion failed, and where the bytes stop before the end: the maps that came have been yielded then.
 */
export async function* parseExplainStream(bytes: ArrowBytes, wanted: WantedExplanation): AsyncGenerator<ExplainEvent> {
  const reader = await openArrow(bytes, 'an explanation');
  const header = parseHeader(headerText(reader, metadataKey, 'an explanation'));
  ensureWanted(header, wanted);
  let last: Kind | undefined;
  let maps = 0;
  for await (const row of readRows(reader, what, parseCells)) {
    if (row.kind === 'broken') throw new Error(brokenOff(maps, wanted, row.why));
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
        if (row.reason === 'failed') throw new Error(row.message ?? 'the companion could not explain this');
        if (row.reason === 'done' && maps < wanted.tokenIndices.length) {
          throw new Error(`This explanation ends after ${maps} of ${wanted.tokenIndices.length} tokens`);
        }
        yield { type: 'end', reason: row.reason, cost: costOf(row, maps) };
        return;
      }
    }
  }
  throw new Error(brokenOff(maps, wanted, 'its end row is missing'));
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
    // Arrow's 64-bit numbers are bigints.
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
    throw new Error(`This explanation has format version ${version}; this page reads version ${supportedVersion}`);
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

function ensureWanted(header: Header, { method, model, tokenIndices, patches }: WantedExplanation): void {
  const facts = [
    ['method', header.method, method],
    ['model', `${header.model.name} ${header.model.revision}`, `${model.name} ${model.revision}`],
    ['tokens', header.tokenIndices.join(), tokenIndices.join()],
    ['patches', header.patches, patches],
  ] as const;
  const odd = facts.find(([, found, asked]) => found !== asked);
  if (odd) throw new Error(`Another explanation came than was asked for: ${odd[0]} ${odd[1]}, not ${odd[2]}`);
}

function ensureOrder(kind: Kind, last: Kind | undefined): void {
  const isBack = last !== undefined && order.indexOf(kind) < order.indexOf(last);
  if (isBack || (kind === last && !repeated.includes(kind))) {
    throw new Error(`A row of kind ${kind} comes after one of kind ${last}`);
  }
}

function mapOf(row: MapCells, { method, tokenIndices, patches, promptTokens }: Header, maps: number): RelevancyMap {
  const { tokenIndex, values, prompt, answer, grounding, ms } = row;
  const due = tokenIndices[maps];
  if (tokenIndex !== due) throw new Error(`The map of token ${tokenIndex} comes where ${dueWords(due)} is due`);
  if ((prompt === null) !== (answer === null)) {
    throw new Error(`The map of token ${tokenIndex} weighs one of prompt and answer, not both`);
  }
  // Copied out, for the batch's buffer holds more than the row.
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

function dueWords(due: number | undefined): string {
  return due === undefined ? 'the end' : `token ${due}`;
}

function ensureValues(of: string, values: Float32Array, length: number): Float32Array {
  if (values.length !== length) throw new Error(`Relevancy of ${of}: ${values.length} numbers, want ${length}`);
  const odd = values.find((value) => !(value >= 0 && value < Number.POSITIVE_INFINITY));
  if (odd !== undefined) throw new Error(`Relevancy of ${of}: holds ${odd}`);
  return values.slice();
}

function costOf({ tokens, ms, forwardPasses, backwardPasses, peakBytes }: EndCells, maps: number): ExplainCost {
  // Cut off on its way, nobody counted them; what came is known here.
  if (tokens !== maps && tokens !== 0) throw new Error(`The cost is of ${tokens} tokens, ${maps} maps came`);
  return {
    tokens: maps,
    ms,
    forwardPasses,
    backwardPasses,
    peakBytes: peakBytes == null ? undefined : Number(peakBytes),
  };
}

function brokenOff(maps: number, { tokenIndices }: WantedExplanation, why: string): string {
  return `The explanation breaks off after ${maps} of ${tokenIndices.length} tokens: ${why}`;
}
