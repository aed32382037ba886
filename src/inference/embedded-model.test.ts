// Answers questions with a small model that has several heads (companion/tests/makers/heads_fixture.py), in
// onnxruntime-web's WASM build in Node. No image is decoded: the patches are noise.
import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { StateRows, TokenStates } from '../contract/answer-states';
import { type ModelManifest, parseManifest } from '../contract/manifest';
import { parseRunStream } from '../contract/run-stream';
import { createRandom } from '../math/random';
import { concatenate, createDecoder, type Decoder } from './decoder';
import { type AnswerEvent, createEmbeddedModel } from './embedded-model';
import { createGraph } from './graph';
import type { ImageEmbedder } from './image-embedder';
import { otherHeadMaps } from './other-head';
import { createPromptTokenizer, type PromptTokenizer } from './prompt-tokenizer';
import { createRuntime, type Runtime } from './runtime';
import type { FloatTensor } from './tensor';

const folder = new URL('fixtures/several-heads/', import.meta.url);
const read = (path: string) => new Uint8Array(readFileSync(new URL(path, folder)));
const json = (path: string) => JSON.parse(new TextDecoder().decode(read(path)));
const question = 'What color is the large sphere?';
const patches = 16;

vi.mock('./image-embedder', () => ({
  createImageEmbedder: (_vision: unknown, decoder: Decoder, tokenizer: PromptTokenizer): ImageEmbedder => {
    const geometry = { sourceWidthPx: 56, sourceHeightPx: 56, preprocessing: '', frames: [] as never };
    return async () => ({ key: 'noise', geometry, prefix: await prefixOf(decoder, tokenizer) });
  },
}));

async function prefixOf(decoder: Decoder, { before }: PromptTokenizer): Promise<FloatTensor> {
  const { unit } = createRandom(3);
  const data = Float32Array.from({ length: patches * 32 }, () => 2 * unit() - 1);
  return concatenate(await decoder.embed(before), { data, dims: [1, patches, 32] });
}

let runtime: Runtime;
let manifest: ModelManifest;
let tokenizer: PromptTokenizer;

beforeAll(() => {
  ort.env.wasm.numThreads = 1;
  runtime = createRuntime(ort, { threads: 1 });
  manifest = parseManifest(json('manifest.json'));
  const files = { tokenizer: json('tokenizer.json'), config: json('tokenizer_config.json') };
  tokenizer = createPromptTokenizer(files, manifest.prompt);
});

async function answerOf(facts: ModelManifest) {
  const model = await createEmbeddedModel(runtime, { manifest: facts, files: read, tokenizer });
  const image = { blob: new Blob(), sha256: 'noise' };
  const events: AnswerEvent[] = [];
  for await (const event of model.answer({ image, question, maxNewTokens: 4 }, new AbortController().signal)) {
    events.push(event);
  }
  const patchStates = events.flatMap((event) => (event.type === 'patch-states' ? [event.states] : []));
  const tokens = events.flatMap((event) => (event.type === 'token' ? [event] : []));
  const maps = events.flatMap((event) => (event.type === 'map' ? [event.map.values] : []));
  return { model, events, patchStates: patchStates[0]!, tokens, maps };
}

describe('an answer of a model with several heads', () => {
  test('comes with the states that the other heads read', async () => {
    const { events, patchStates, tokens } = await answerOf(manifest);
    expect(events.slice(0, 4).map(({ type }) => type)).toEqual(['seen', 'patch-states', 'prompt', 'token']);
    expect(patchStates).toMatchObject({ rows: patches, cols: 32 });
    expect(tokens).toHaveLength(4);
    for (const { states } of tokens) {
      expect(states?.query).toMatchObject({ rows: 1, cols: 32 });
      expect(states?.attentionLogits).toHaveLength(patches);
    }
  });

  test('comes without states if there is only one head', async () => {
    const { otherHeads: _, ...alone } = manifest;
    const { events, tokens } = await answerOf(alone);
    expect(events.some(({ type }) => type === 'patch-states')).toBe(false);
    expect(tokens.every(({ states }) => states === undefined)).toBe(true);
  });

  test('comes without attention if no head reads it', async () => {
    const { 'fastrm-plus': _, ...rest } = manifest.otherHeads!;
    const { tokens } = await answerOf({ ...manifest, otherHeads: rest });
    expect(tokens.map(({ states }) => states?.attentionLogits)).toEqual(new Array(4).fill(undefined));
  });

  test('weighs the attention that one pass over the whole sequence pays to the patches', async () => {
    const { tokens } = await answerOf(manifest);
    const { graphs, model, otherHeads } = manifest;
    const graph = (path: string) => createGraph(runtime, { name: path, graph: read(path) }, 'wasm');
    const decoder = createDecoder(await graph(graphs.embed), await graph(graphs.decoder), model, true);
    const tokenized = tokenizer.tokenizeQuestion(question);
    if (tokenized.kind !== 'tokens') throw new Error(tokenized.kind);
    const prefix = await prefixOf(decoder, tokenizer);
    const { weights, epsilon } = otherHeads!['fastrm-plus']!.attention;
    for (const [t, { states }] of tokens.entries()) {
      const ids = [...tokenized.ids, ...tokenizer.after, ...tokens.slice(0, t).map(({ token }) => token.tokenId)];
      const { attention } = await decoder.read(decoder.start, concatenate(prefix, await decoder.embed(ids)));
      const n = prefix.dims[1]! + ids.length;
      expect(attention?.dims).toEqual([2, 2, n]);
      for (let j = 0; j < patches; j++) {
        const column = tokenizer.before.length + j;
        const logit = weights.reduce((sum, w, f) => sum + w * Math.log(attention!.data[f * n + column]! + epsilon), 0);
        // The cache changes the order of float32 sums; the smallest attention is about 1e-3.
        expect(states!.attentionLogits![j]).toBeCloseTo(logit, 3);
      }
    }
  });

  test('is explained by each of the other heads from these states', async () => {
    const { model, patchStates, tokens, maps } = await answerOf(manifest);
    const request = (t: number) => ({ patchStates, queryStates: tokens[t]!.states!.query });
    const paper = await model.createOtherHead('fastrm-paper', read);
    const plus = await model.createOtherHead('fastrm-plus', read);
    for (const [t, map] of maps.entries()) {
      const { values, backend } = await otherHeadMaps(paper.head, {
        method: 'fastrm-paper',
        ...request(t),
        attentionLogits: undefined,
      });
      expect(backend).toBe('wasm');
      // All heads of this model have the same weights for hidden states.
      expect(values).toEqual(map);
      const { attentionLogits } = tokens[t]!.states!;
      const withAttention = await otherHeadMaps(plus.head, {
        method: 'fastrm-plus',
        ...request(t),
        attentionLogits: { data: attentionLogits!, dims: [1, patches] },
      });
      for (const [j, p] of map.entries()) {
        const expected = 1 / (1 + (1 / p - 1) * Math.exp(-attentionLogits![j]!));
        expect(withAttention.values[j]).toBeCloseTo(expected, 4);
      }
    }
  });
});

test('a recorded run holds all that the other heads read', async () => {
  const states: TokenStates[] = [];
  const recorded: Float32Array[] = [];
  let patchStates: StateRows | undefined;
  for await (const event of parseRunStream(new Uint8Array(readFileSync(new URL('../several-heads.run', folder))))) {
    if (event.type === 'begin') {
      const { name, revision } = manifest.otherHeads!['fastrm-plus']!;
      expect(event.header.model).toMatchObject({ name: manifest.name, revision: manifest.revision });
      expect(event.header.attentionLogitsOf).toEqual({ name, revision });
    }
    if (event.type === 'patch-states') patchStates = event.states;
    if (event.type === 'token') states.push(event.states!);
    if (event.type === 'map') recorded.push(event.map.values);
  }
  const model = await createEmbeddedModel(runtime, { manifest, files: read, tokenizer });
  const queries = states.map(({ query }) => query.values as Uint16Array);
  const queryStates = { values: Uint16Array.from(queries.flatMap((row) => [...row])), rows: 4, cols: 32 };
  const logits = Float32Array.from(states.flatMap(({ attentionLogits }) => [...attentionLogits!]));
  const request = { patchStates: patchStates!, queryStates };
  const paper = await otherHeadMaps((await model.createOtherHead('fastrm-paper', read)).head, {
    method: 'fastrm-paper',
    ...request,
    attentionLogits: undefined,
  });
  const plus = await otherHeadMaps((await model.createOtherHead('fastrm-plus', read)).head, {
    method: 'fastrm-plus',
    ...request,
    attentionLogits: { data: logits, dims: [4, patches] },
  });
  const maps = Float32Array.from(recorded.flatMap((map) => [...map]));
  for (const [i, p] of paper.values.entries()) {
    // The recorded states are fp16, and so are the head's folded weights.
    expect(Math.abs(p - maps[i]!)).toBeLessThan(0.01);
    expect(plus.values[i]).toBeCloseTo(1 / (1 + (1 / p - 1) * Math.exp(-logits[i]!)), 4);
  }
});
