// Rows of a model's vocabulary layer: an Arrow IPC stream of one batch, format version 1, written by
// companion/src/patchlight/wire/unembedding.py.
import * as z from 'zod/mini';
import { headerText, openArrow, readRows } from './arrow-rows';
import { widenHalfs } from './half-floats';

const metadataKey = 'patchlight.unembedding';
const what = 'these rows of the vocabulary layer';

const headerShape = z.object({
  formatVersion: z.literal(1),
  model: z.object({ name: z.string(), revision: z.string() }),
  hiddenSize: z.int().check(z.positive()),
});

const cells = z.object({
  tokenId: z.int().check(z.nonnegative()),
  row: z.union([z.instanceof(Uint16Array), z.instanceof(Float32Array)]),
});

export interface Unembedding {
  readonly model: { readonly name: string; readonly revision: string };
  /** [d] each: `row . state` is the token's logit. */
  readonly rows: ReadonlyMap<number, Float32Array>;
}

/** Throws where the bytes are no such rows, or not all of the wanted ids' of this hidden size. */
export async function parseUnembedding(
  bytes: Uint8Array,
  wanted: { readonly ids: readonly number[]; readonly hiddenSize: number },
): Promise<Unembedding> {
  const reader = await openArrow(bytes, 'rows of a vocabulary layer');
  const header = headerShape.safeParse(JSON.parse(headerText(reader, metadataKey, 'rows of a vocabulary layer')));
  if (!header.success) throw new Error(`${what}: ${z.prettifyError(header.error)}`);
  const { model, hiddenSize } = header.data;
  if (hiddenSize !== wanted.hiddenSize) {
    throw new Error(`the vocabulary layer reads states of size ${hiddenSize}, these are of ${wanted.hiddenSize}`);
  }
  const rows = new Map<number, Float32Array>();
  for await (const found of readRows(reader, what, parseCells)) {
    if ('kind' in found) throw new Error(`${what} break off: ${found.why}`);
    const { tokenId, row } = found;
    if (row.length !== hiddenSize)
      throw new Error(`${what}: ${row.length} numbers of token ${tokenId}, want ${hiddenSize}`);
    rows.set(tokenId, row instanceof Uint16Array ? widenHalfs(row) : row.slice());
  }
  const missing = wanted.ids.find((id) => !rows.has(id));
  if (missing !== undefined) throw new Error(`${what}: token ${missing} is missing`);
  return { model, rows };
}

function parseCells(row: Record<string, unknown>): z.infer<typeof cells> {
  const result = cells.safeParse(row);
  if (result.success) return result.data;
  throw new Error(`${what}: ${z.prettifyError(result.error)}`);
}
