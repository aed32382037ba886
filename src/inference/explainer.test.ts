// Compares the embedded model's graphs, in onnxruntime-web's WASM build in Node, with maps that Python computed by
// autograd over complete attention matrices (companion/tests/makers/explain_fixture.py). No image is decoded: the patches
// are noise.
import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-web';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { parseManifest } from '../contract/manifest';
import type { ExplainEvent, RelevancyMap } from '../contract/run';
import { concatenate, createDecoder } from './decoder';
import { type AnswerToExplain, createExplainer, type Explainer } from './explainer';
import { explainerMethods } from './explainer-method';
import { createGraph } from './graph';
import { createPromptTokenizer } from './prompt-tokenizer';
import { createRuntime } from './runtime';

interface ExpectedMap {
  readonly values: string;
  readonly prompt?: string;
  readonly answer?: string;
  readonly grounding?: number;
}

const folder = new URL('../../public/models/patchlight-scenes/', import.meta.url);
const read = (path: string) => new Uint8Array(readFileSync(new URL(path, folder)));
const json = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));
const fixture = json(new Uint8Array(readFileSync(new URL('fixtures/explained-run-1.json', import.meta.url))));
const { logProbs, maps: expected } = fixture.noise as {
  logProbs: number[];
  maps: Record<string, ExpectedMap[]>;
};
const request: Omit<AnswerToExplain, 'method'> = {
  image: { blob: new Blob(['noise']), sha256: 'noise' },
  question: fixture.question,
  tokens: fixture.tokenIds.map((tokenId: number, t: number) => ({ tokenId, logProb: logProbs[t]! })),
  tokenIndices: fixture.wanted,
};
const still = new AbortController().signal;
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let explainer: Explainer;

beforeAll(async () => {
  ort.env.wasm.numThreads = 1;
  const runtime = createRuntime(ort, { threads: 1 });
  const manifest = parseManifest(json(read('manifest.json')));
  const { model, graphs, prompt, image, explain: facts } = manifest;
  const graph = (path: string) => createGraph(runtime, { name: path, graph: read(path) }, 'wasm');
  const tokenizer = createPromptTokenizer(
    { tokenizer: json(read('tokenizer.json')), config: json(read('tokenizer_config.json')) },
    prompt,
  );
  const decoder = createDecoder(await graph(graphs.embed), await graph(graphs.decoder), model);
  const patches = { data: noise(image.grid.rows * image.grid.cols * model.hiddenSize), dims: [1, 576, 192] };
  const prefix = concatenate(await decoder.embed(tokenizer.before), patches);
  const geometry = { sourceWidthPx: 336, sourceHeightPx: 336, preprocessing: '', frames: [] as never };
  const embedImage = async () => ({ key: 'noise', geometry, prefix });
  const parts = { manifest, facts: facts!, files: read, explainFiles: read, decoder, embedImage, tokenizer };
  explainer = createExplainer(runtime, parts);
});

/** The same noise as in the fixture's generator. */
function noise(count: number): Float32Array {
  const { seed, scale } = fixture.generator;
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * scale;
  });
}

async function explain(method: AnswerToExplain['method'], more: Partial<AnswerToExplain> = {}, signal = still) {
  const events: ExplainEvent[] = [];
  for await (const event of explainer.explain({ ...request, ...more, method }, signal)) events.push(event);
  const maps = events.flatMap((event) => (event.type === 'map' ? [event.map] : []));
  return { events, maps };
}

const unpacked = (base64: string) => new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);

function relativeError(actual: Float32Array, reference: Float32Array): number {
  expect(actual.length).toBe(reference.length);
  const size = Math.hypot(...reference);
  return Math.hypot(...reference.map((value, i) => value - actual[i]!)) / (size || 1);
}

describe.each(explainerMethods)('%s', (method) => {
  let maps: readonly RelevancyMap[];
  beforeAll(async () => {
    maps = (await explain(method)).maps;
  });

  test("matches autograd's map of each requested token", () => {
    expect(maps.map(({ tokenIndex }) => tokenIndex)).toEqual(fixture.wanted);
    for (const [i, map] of expected[method]!.entries()) {
      expect(maps[i]!.method).toBe(method);
      // Both sides use the same fp16 weights: only the order of float32 sums differs. A difference of two sums, as in
      // GradCAM's head weights, loses a digit or two.
      expect(relativeError(maps[i]!.values, unpacked(map.values)), `token ${i}`).toBeLessThan(1e-4);
      if (map.grounding !== undefined) expect(maps[i]!.grounding).toBeCloseTo(map.grounding, 4);
    }
  });

  test('has text relevancy if the method weighs words', () => {
    for (const [i, map] of expected[method]!.entries()) {
      const { text } = maps[i]!;
      expect(text === undefined).toBe(map.prompt === undefined);
      if (text === undefined) continue;
      expect(relativeError(text.prompt, unpacked(map.prompt!))).toBeLessThan(1e-4);
      expect(relativeError(text.answer, unpacked(map.answer!))).toBeLessThan(1e-4);
    }
  });
});

test('one check comes first and one end last, with the cost', async () => {
  const { events } = await explain('chefer');
  expect(events.map(({ type }) => type)).toEqual(['check', 'map', 'map', 'map', 'end']);
  expect(events.at(-1)).toMatchObject({ reason: 'done', cost: { tokens: 3, backwardPasses: 3 } });
});

test('the check compares the pass with the streamed answer', async () => {
  const checkOf = async (tokens: AnswerToExplain['tokens']) => {
    const { events } = await explain('rollout', { tokens, tokenIndices: [0] });
    return events.flatMap((event) => (event.type === 'check' ? [event.check] : []))[0]!;
  };
  const same = await checkOf(request.tokens);
  expect(same.largestDifference).toBeLessThan(1e-4);
  // The image is noise, so the recorded answer, like a sampled one, is not made up of the most likely tokens.
  expect(same.isSame).toBe(true);
  const other = await checkOf(request.tokens.map((token) => ({ ...token, logProb: token.logProb - 0.5 })));
  expect(other.largestDifference).toBeCloseTo(0.5, 3);
  expect(other.isSame).toBe(false);
});

test("DEX-AR of one token is scaled by the whole answer's gradients", async () => {
  const { maps } = await explain('dex-ar', { tokenIndices: [fixture.wanted[1]] });
  expect(maps).toHaveLength(1);
  expect(relativeError(maps[0]!.values, unpacked(expected['dex-ar']![1]!.values))).toBeLessThan(1e-4);
});

test('ends as cancelled after the first map when aborted there', async () => {
  const controller = new AbortController();
  const events: ExplainEvent[] = [];
  for await (const event of explainer.explain({ ...request, method: 'chefer' }, controller.signal)) {
    events.push(event);
    if (event.type === 'map') controller.abort();
  }
  expect(events.map(({ type }) => type)).toEqual(['check', 'map', 'end']);
  expect(events.at(-1)).toMatchObject({ reason: 'cancelled', cost: { tokens: 1, backwardPasses: 1 } });
});
