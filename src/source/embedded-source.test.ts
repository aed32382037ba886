import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { exampleHeadsManifest, exampleManifest } from '../contract/manifest.example';
import type { ExplainEvent, RunEvent, RunHeader } from '../contract/run';
import { exampleHeader } from '../contract/run.example';
import type { createModelClient, ModelClient, OtherHeadRequest, ReadyModel } from '../inference/model-client';
import { createEmbeddedSource } from './embedded-source';

const row = (fill: number) => ({ values: new Float32Array(192).fill(fill), rows: 1, cols: 192 });
const patches = { values: new Float32Array(576 * 192), rows: 576, cols: 192 };
const answerToken = (index: number) => ({ index, tokenId: index, text: '', word: index, logProb: 0, alternatives: [] });

/** A model that answers with two tokens; its other heads' maps hold the first value of each query state. */
function clientOf(manifest: ReadyModel['manifest']) {
  const requests: OtherHeadRequest[] = [];
  const client: ModelClient = {
    load: async () => ({ manifest, backend: 'wasm', threads: 1, note: undefined, isRestarted: false }) as ReadyModel,
    async *ask() {
      yield { type: 'seen', geometry: exampleHeader.geometry, askedAs: undefined };
      if (manifest.otherHeads) yield { type: 'patch-states', states: patches };
      for (const index of [0, 1]) {
        const states = { query: row(index), attentionLogits: new Float32Array(576).fill(-index) };
        yield { type: 'token', token: answerToken(index), ...(manifest.otherHeads && { states }) };
      }
      yield { type: 'end', end: { reason: 'stop', answerMs: 1, firstTokenMs: 1 } };
    },
    explain: () => {
      throw new Error('no pass of the model is needed');
    },
    headMaps: async (request) => {
      requests.push(request);
      const { values, rows, cols } = request.queryStates;
      const maps = Float32Array.from({ length: rows * 576 }, (_, at) => values[Math.floor(at / 576) * cols]!);
      return { values: maps, computeMs: 2, backend: 'wasm' };
    },
    destroy: () => {},
  };
  const createClient: typeof createModelClient = () => client;
  return { source: createEmbeddedSource({ modelUrl: './model/', backend: 'wasm', createClient }), requests };
}

async function collect<Event>(events: AsyncIterable<Event>): Promise<Event[]> {
  const all: Event[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** What the page keeps of an answer. */
function keptOf(events: readonly RunEvent[]) {
  const begin = events.find((event) => event.type === 'begin');
  const tokens = events.flatMap((event) => (event.type === 'token' ? [event] : []));
  const patchStates = events.find((event) => event.type === 'patch-states')?.states;
  const header = begin?.header as RunHeader;
  const states = patchStates && { patches: patchStates, tokens: tokens.map((token) => token.states!) };
  return { header, tokens: tokens.map(({ token }) => token), states };
}

const { signal } = new AbortController();
const question = { image: exampleHeader.image, text: 'What is it?' };

beforeEach(() => vi.stubGlobal('document', { baseURI: 'https://example.org/' }));
afterEach(() => vi.unstubAllGlobals());

describe('a model with several heads', () => {
  it('explains a live answer by them, from the states that came with it', async () => {
    const { source, requests } = clientOf(exampleHeadsManifest());
    const { header, tokens, states } = keptOf(await collect(source.ask(question, signal)));
    expect(header.head?.classificationThreshold).toBe(0.4);
    expect(header.attentionLogitsOf).toEqual({ name: 'fastrm-plus', revision: 'ab' });
    const offers = source.offers(header, states).filter(({ head }) => head !== undefined);
    expect(offers.map(({ method, refusal }) => [method, refusal])).toEqual([
      ['fastrm-paper', undefined],
      ['fastrm-plus', undefined],
    ]);
    for (const method of ['fastrm-paper', 'fastrm-plus'] as const) {
      const request = { method, header, tokens, states, tokenIndices: [1] };
      const events: ExplainEvent[] = await collect(source.explain(request, signal));
      expect(events.map(({ type }) => type)).toEqual(['map', 'end']);
      expect(events[0]).toMatchObject({ map: { method, tokenIndex: 1, head: { name: method } } });
    }
    expect(requests.map(({ attentionLogits }) => attentionLogits?.data[0])).toEqual([undefined, -1]);
  });

  it('refuses answers whose states are gone, even if they are requested', async () => {
    const { source, requests } = clientOf(exampleHeadsManifest());
    const { header, tokens } = keptOf(await collect(source.ask(question, signal)));
    const request = { method: 'fastrm-paper', header, tokens, tokenIndices: [0] } as const;
    await expect(collect(source.explain(request, signal))).rejects.toThrow('were not kept; ask again');
    expect(requests).toEqual([]);
  });
});

it('a model with one head keeps no states, and refuses the other heads', async () => {
  const { source } = clientOf(exampleManifest());
  const { header, states } = keptOf(await collect(source.ask(question, signal)));
  expect(states).toBeUndefined();
  expect(header).not.toHaveProperty('attentionLogitsOf');
  const offer = source.offers(header).find(({ method }) => method === 'fastrm-plus');
  expect(offer?.refusal).toBe('patchlight-scenes was built without this head.');
});
