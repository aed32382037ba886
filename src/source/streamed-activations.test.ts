// Tests that token activation maps are computed while an answer streams, from a companion's recorded bytes.
import { readFileSync } from 'node:fs';
import {
  Field,
  Float32,
  List,
  Schema,
  Table,
  tableFromIPC,
  tableToIPC,
  type Vector,
  vectorFromArray,
} from 'apache-arrow';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { RelevancyMap, RunEvent, RunHeader } from '../contract/run';
import { parseUnembedding } from '../contract/unembedding';
import { ActivationWorkerHere } from '../inference/activation-client.example';
import { createCompanionSource } from './companion-source';
import { encodeAs } from './picture.example';

const fixture = (name: string) => readFileSync(new URL(`../contract/fixtures/${name}`, import.meta.url));
const recorded = tableFromIPC(fixture('random-weights.run'));
const vocabulary = fixture('vocabulary.rows');

const sha256 = '5'.repeat(64);
const picture = { blob: new Blob([new Uint8Array(3)], { type: 'image/png' }), widthPx: 40, heightPx: 24 };
const image = { bytes: new Uint8Array(3), mediaType: 'image/png', name: 'one.png', sha256: 'f', picture };
const question = { image, text: 'What color is the large sphere?' };

const { model: recordedModel, ...header } = JSON.parse(recorded.schema.metadata.get('patchlight.run') ?? '');
const facts = {
  ...recordedModel,
  weights: null,
  device: 'cpu',
  limits: { imageBytes: 1000, imagePixels: 10_000, images: 8, imageAspectRatio: 100, unembeddingIds: 64 },
  methods: ['tam'],
  unembedding: true,
  streamsUnembedding: true,
  head: null,
  calibration: null,
  trainCommand: 'patchlight fit',
};

/** The recorded answer as a live stream, with the unembedding rows of its tokens if `hasRows`. */
async function streamOf(hasRows: boolean): Promise<Uint8Array> {
  const ids = [...recorded].map((row): number[] =>
    row.kind === 'prompt'
      ? [...row.promptTokens].map((token) => token.tokenId)
      : row.kind === 'token'
        ? [row.tokenId]
        : [],
  );
  const { rows } = await parseUnembedding(vocabulary, { ids: ids.flat(), hiddenSize: recordedModel.hiddenSize });
  const cells = ids.map((of) => (of.length === 0 ? null : of.flatMap((id) => [...rows.get(id)!])));
  const columns: Record<string, Vector> = Object.fromEntries(
    recorded.schema.fields.map(({ name }) => [name, recorded.getChild(name)!]),
  );
  if (hasRows) columns.unembedding32 = vectorFromArray(cells, new List(new Field('item', new Float32())));
  const table = new Table(columns).slice(1); // without the image
  const live = { ...header, model: recordedModel, head: null, recorded: false, image: { ...header.image, sha256 } };
  const schema = new Schema(table.schema.fields, new Map([['patchlight.run', JSON.stringify(live)]]));
  return tableToIPC(new Table(schema, table.batches), 'stream');
}

/** Stubs a companion; returns its requests. */
function companionOf(stream: Uint8Array, change: object = {}): { path: string; request: unknown }[] {
  const sent: { path: string; request: unknown }[] = [];
  vi.stubGlobal('fetch', async (url: URL, { body }: RequestInit) => {
    const request = body instanceof FormData ? JSON.parse(await (body.get('request') as Blob).text()) : undefined;
    sent.push({ path: url.pathname, request });
    switch (url.pathname) {
      case '/v1/health':
        return Response.json({ version: '0.1.0', protocol: 2 });
      case '/v1/model':
        return Response.json({ ...facts, ...change });
      case '/v1/generate':
        return new Response(stream as BodyInit);
      case '/v1/unembedding':
        return new Response(vocabulary);
      default:
        throw new Error(`unknown route: ${url.pathname}`);
    }
  });
  return sent;
}

function sourceOf() {
  return createCompanionSource({
    apiUrl: './v1/',
    backend: 'auto',
    encodePicture: encodeAs(sha256),
    createHead: () => ({
      load: () => Promise.reject(new Error('this model has no head')),
      openImage: () => {
        throw new Error('this model has no head');
      },
      destroy: () => {},
    }),
  });
}

const never = new AbortController().signal;

async function all<T>(events: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const event of events) list.push(event);
  return list;
}

const mapsOf = (events: readonly { type: string; map?: RelevancyMap }[]) =>
  events.flatMap(({ map }) => (map === undefined ? [] : [map]));

/** The maps that are computed once the answer is complete. */
async function explained(source: ReturnType<typeof sourceOf>, events: readonly RunEvent[]): Promise<RelevancyMap[]> {
  const begin = events.find((event) => event.type === 'begin');
  const tokens = events.flatMap((event) => (event.type === 'token' ? [event.token] : []));
  const tokenIndices = tokens.map(({ index }) => index);
  return mapsOf(
    await all(source.explain({ method: 'tam', header: begin?.header as RunHeader, tokens, tokenIndices }, never)),
  );
}

const numbersOf = ({ values, text }: RelevancyMap) => [values, text?.prompt, text?.answer];

beforeEach(() => {
  vi.stubGlobal('document', { baseURI: 'http://box:8642/' });
  vi.stubGlobal('Worker', ActivationWorkerHere);
  ActivationWorkerHere.opened = 0;
});
afterEach(() => vi.unstubAllGlobals());

it('maps arrive with the tokens of a model without a head, in order, and cost no further request', async () => {
  const sent = companionOf(await streamOf(true));
  const source = sourceOf();
  const events = await all(source.ask(question, never));
  const maps = mapsOf(events);
  expect(maps.map(({ method, tokenIndex, backend }) => [method, tokenIndex, backend])).toEqual(
    Array.from({ length: 6 }, (_, index) => ['tam', index, 'script']),
  );
  expect(maps.every(({ computeMs }) => computeMs >= 0)).toBe(true);
  expect(events.at(-1)).toMatchObject({ type: 'end', end: { reason: 'length' } });
  const again = await explained(source, events);
  expect(again.map(numbersOf)).toEqual(maps.map(numbersOf));
  expect(sent.map(({ path }) => path)).toEqual(['/v1/health', '/v1/model', '/v1/generate']);
  expect(sent.at(-1)?.request).toMatchObject({ sendUnembedding: true });
  expect(ActivationWorkerHere.opened).toBe(1);
});

it('the maps equal those computed afterwards from rows that were requested', async () => {
  companionOf(await streamOf(true));
  const streamed = mapsOf(await all(sourceOf().ask(question, never)));

  const sent = companionOf(await streamOf(false), { streamsUnembedding: undefined });
  const source = sourceOf();
  const events = await all(source.ask(question, never));
  expect(mapsOf(events), 'an earlier companion is not asked for rows').toEqual([]);
  expect(sent.at(-1)?.request).not.toHaveProperty('sendUnembedding');
  const later = await explained(source, events);
  expect(sent.some(({ path }) => path === '/v1/unembedding')).toBe(true);
  expect(later.map(numbersOf)).toEqual(streamed.map(numbersOf));
});

it('a companion that sends no rows although it was asked leaves the answer without maps', async () => {
  companionOf(await streamOf(false));
  const events = await all(sourceOf().ask(question, never));
  expect(mapsOf(events)).toEqual([]);
  expect(events.at(-1)).toEqual({
    type: 'end',
    end: { reason: 'length', answerMs: expect.any(Number), firstTokenMs: expect.any(Number) },
  });
});
