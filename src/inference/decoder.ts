// The language model: one graph for prompt and answer, with keys and values as inputs and outputs. The image part of the
// prompt comes first and is fixed under the causal mask, so it is computed once per image and reused by every question.
import type { ModelManifest } from '../contract/manifest';
import type { Graph } from './graph';
import { type FloatTensor, int64, type Outputs } from './tensor';

/** The KV cache so far; immutable, so several continuations can start from it. */
interface DecoderState {
  readonly length: number;
  readonly cache: Readonly<Record<string, FloatTensor>>;
}

export interface DecoderStep {
  readonly state: DecoderState;
  /** [V], for the token after the last position. */
  readonly logits: Float32Array;
  /** [s, d] last hidden states of the positions just read. */
  readonly hiddenStates: FloatTensor;
  /** [L, h, n] attention of the last position over all columns so far; undefined unless the decoder reads it. */
  readonly attention: FloatTensor | undefined;
}

export interface Decoder {
  readonly start: DecoderState;
  /** [1, s, d] */
  embed(ids: readonly number[]): Promise<FloatTensor>;
  /** Reads embeddings [1, s, d] that follow `state`. */
  read(state: DecoderState, embeds: FloatTensor): Promise<DecoderStep>;
}

/** `readsAttention`: only then must the decoder's graph have that output. */
export function createDecoder(
  embedGraph: Graph,
  decoderGraph: Graph,
  model: ModelManifest['model'],
  readsAttention = false,
): Decoder {
  const checked = ['logits', 'last_hidden_state', ...(readsAttention ? ['attention'] : [])];
  const cacheNames = Array.from({ length: model.layers }, (_, i) => [`${i}.key`, `${i}.value`]).flat();
  const rename = (outputs: Outputs) =>
    Object.fromEntries(cacheNames.map((n) => [`past.${n}`, outputs[`present.${n}`]!]));
  const empty = { data: new Float32Array(0), dims: [1, model.kvHeads, 0, model.headDim] };
  return {
    start: { length: 0, cache: Object.fromEntries(cacheNames.map((name) => [`past.${name}`, empty])) },
    async embed(ids) {
      const outputs = await embedGraph.run({ input_ids: int64(ids, [1, ids.length]) }, ['inputs_embeds']);
      return outputs.inputs_embeds!;
    },
    async read({ length, cache }, embeds) {
      const count = embeds.dims[1]!;
      const positions = Array.from({ length: count }, (_, i) => length + i);
      const feeds = { inputs_embeds: embeds, position_ids: int64(positions, [1, count]), ...cache };
      const outputs = await decoderGraph.run(feeds, checked);
      return {
        state: { length: length + count, cache: rename(outputs) },
        logits: outputs.logits!.data,
        hiddenStates: { data: outputs.last_hidden_state!.data, dims: [count, model.hiddenSize] },
        attention: readsAttention ? outputs.attention : undefined,
      };
    },
  };
}

/** [1, a + b, d] */
export function concatenate(a: FloatTensor, b: FloatTensor): FloatTensor {
  const { data } = joinRows(a, b);
  return { data, dims: [1, a.dims[1]! + b.dims[1]!, a.dims[2]!] };
}

/** [a + b, d] */
export function joinRows(a: FloatTensor, b: FloatTensor): FloatTensor {
  const data = new Float32Array(a.data.length + b.data.length);
  data.set(a.data);
  data.set(b.data, a.data.length);
  return { data, dims: [a.dims[0]! + b.dims[0]!, a.dims[1]!] };
}

/** Rows `from` to `to` (exclusive) of [n, d]. */
export function rowsOf({ data, dims }: FloatTensor, from: number, to: number): FloatTensor {
  const width = dims[1]!;
  return { data: data.slice(from * width, to * width), dims: [to - from, width] };
}
