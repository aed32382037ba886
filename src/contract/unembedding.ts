// Rows of a model's unembedding (lm_head): an Arrow IPC stream of one batch, format version 1, written by
// companion/src/patchlight/wire/unembedding.py.
import * as z from 'zod/mini';
import { headerText, openArrow, readRows } from './arrow-rows';
import { widenHalfs } from './half-floats';

const metadataKey = 'patchlight.unembedding';
const supportedVersion = 1;
const what = 'these unembedding rows';

const headerShape = z.object({
  formatVersion: z.literal(supportedVersion),
  model: z.object({ name: z.string(), revision: z.string() }),
  hiddenSize: z.int().check(z.positive()),
});

const cells = z.object({
  tokenId: z.int().check(z.nonnegative()),
  row: z.union([z.instanceof(Uint16Array), z.instanceof(Float32Array)]),
});

export interface Unembedding {
  readonly model: { readonly name: string; readonly revision: string };
  /** Rows [d] by token id; a row's dot product with a hidden state is the token's logit. */
  readonly rows: ReadonlyMap<number, Float32Array>;
}

/** Throws if the bytes are not unembedding rows, have another hidden size, or lack one of `ids`. */
export async function parseUnembedding(
  bytes: Uint8Array,
  expected: { readonly ids: readonly number[]; readonly hiddenSize: number },
): Promise<Unembedding> {
  const reader = await openArrow(bytes, 'a stream of unembedding rows');
  const data: unknown = JSON.parse(headerText(reader, metadataKey, 'a stream of unembedding rows'));
  const version = z.safeParse(z.object({ formatVersion: z.unknown() }), data).data?.formatVersion;
  if (version !== supportedVersion) {
    throw new Error(`${what} have format version ${version}; this page supports version ${supportedVersion}`);
  }
  const header = headerShape.safeParse(data);
  if (!header.success) throw new Error(`${what}: ${z.prettifyError(header.error)}`);
  const { model, hiddenSize } = header.data;
  if (hiddenSize !== expected.hiddenSize) {
    throw new Error(`${what}: expected hidden size ${expected.hiddenSize}, got ${hiddenSize}`);
  }
  const rows = new Map<number, Float32Array>();
  for await (const item of readRows(reader, what, parseCells)) {
    if ('kind' in item) throw new Error(`${what} were cut off: ${item.why}`);
    const { tokenId, row } = item;
    if (row.length !== hiddenSize)
      throw new Error(`${what}: expected ${hiddenSize} values for token ${tokenId}, got ${row.length}`);
    rows.set(tokenId, row instanceof Uint16Array ? widenHalfs(row) : row.slice());
  }
  const missing = expected.ids.find((id) => !rows.has(id));
  if (missing !== undefined) throw new Error(`${what}: token ${missing} is missing`);
  return { model, rows };
}

function parseCells(row: Record<string, unknown>): z.infer<typeof cells> {
  const result = cells.safeParse(row);
  if (result.success) return result.data;
  throw new Error(`${what}: ${z.prettifyError(result.error)}`);
}
