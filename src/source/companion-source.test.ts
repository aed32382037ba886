import { readFileSync } from 'node:fs';
import { type RecordBatch, Schema, Table, tableFromIPC, tableToIPC } from 'apache-arrow';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { StateRows } from '../contract/answer-states';
import type { CompanionModel } from '../contract/companion';
import type { RunEvent, RunHeader } from '../contract/run';
import type { HeadClient } from '../inference/head-client';
import { createCompanionSource } from './companion-source';
import { encodeAs } from './picture.example';
import { QuestionRefused, type SourceStatus } from './run-source';

const fixture = (name: string) =>
  tableFromIPC(readFileSync(new URL(`../contract/fixtures/${name}.run`, import.meta.url)));
const recorded = fixture('random-weights'); // image, states, prompt, six tokens, end
const [, states, prompt, ...answerRows] = recorded.batches as RecordBatch[];
const columns = recorded.schema.fields.map(({ name }) => name);
const queued = fixture('live-stream').select(columns).batches.slice(0, 3); // places 2, 1, 0

const sha256 = '5'.repeat(64);
const pixelsSha256 = '7'.repeat(64);
/** Of the size that the recorded run is about. */
const picture = { blob: new Blob([new Uint8Array([1, 2, 3])], { type: 'image/png' }), widthPx: 40, heightPx: 24 };
const image = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/webp', name: 'one.webp', sha256: 'f', picture };
const question = { image, text: 'What color is the large sphere?' };
const P = 16;

const file = (path: string) => ({ path: `head/${path}?sha256=${sha256}`, bytes: 1, sha256 });
const head = {
  name: 'random-weights-head',
  revision: '38e7a2dfbf99',
  stage: 'post_norm' as const,
  teacher: 'none',
  labellingThreshold: 0.3,
  classificationThreshold: 0.4,
  hiddenSize: 32,
  files: {
    graph: file('fastrm.onnx'),
    normGraph: file('fastrm-norm.onnx'),
    weights: file('fastrm.bin'),
    textWeights: null,
  },
};
const model: CompanionModel = {
  name: 'random-weights',
  revision: '94c0b4d387c2',
  weights: '0123456789abcdef',
  family: 'LLaVA-1.5',
  hiddenSize: 32,
  stage: 'post_norm',
  dtype: 'float32',
  device: 'cuda:0',
  knows: 'Nothing.',
  limits: { imageBytes: 1000, imagePixels: 10_000, images: 8, imageAspectRatio: 100, unembeddingIds: 4 },
  methods: ['fastrm', 'chefer', 'dex-ar', 'tam'],
  refusedMethods: [],
  unembedding: true,
  streamsUnembedding: true,
  head,
  calibration: null,
  trainCommand: 'patchlight train --model random-weights',
};

/** A stream as the companion sends it: no image, not recorded. */
function streamOf(batches: readonly (RecordBatch | undefined)[], change: Record<string, unknown> = {}): Uint8Array {
  const header = JSON.parse(recorded.schema.metadata.get('patchlight.run') ?? '');
  const live = { ...header, recorded: false, image: { ...header.image, sha256 }, ...change };
  const schema = new Schema(recorded.schema.fields, new Map([['patchlight.run', JSON.stringify(live)]]));
  return tableToIPC(new Table(schema, batches as RecordBatch[]), 'stream');
}

const whole = () => streamOf([...queued, states, prompt, ...answerRows]);

interface Companion {
  /** The response to each request, by route. */
  health: () => Response;
  model: () => Response;
  generate: (init: RequestInit) => Response | Promise<Response>;
}

const json = (data: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(data), { status, headers });
const gone = (): Response => {
  throw new TypeError('Failed to fetch');
};

function companionOf(change: Partial<Companion> = {}): Companion {
  const companion: Companion = {
    health: () => json({ status: 'ready', version: '0.1.0', protocol: 2 }),
    model: () => json(model),
    generate: () => new Response(whole() as BodyInit),
    ...change,
  };
  vi.stubGlobal('fetch', async (url: URL, init: RequestInit) => {
    expect(url.href).toMatch(/^http:\/\/box:8642\/v1\//);
    switch (url.pathname) {
      case '/v1/health':
        return companion.health();
      case '/v1/model':
        return companion.model();
      case '/v1/generate':
        return companion.generate(init);
      case '/v1/explain':
        return gone();
      default:
        throw new Error(`unknown route: ${url.pathname}`);
    }
  });
  return companion;
}

/**
 * A head that fills each map with the first value of its query state, and, with `hasText`, the words' values with the
 * second; `delayMs` lets tokens queue up.
 */
function headOf({ delayMs = 0, isRestarted = false, hasText = false } = {}) {
  const batches: number[] = [];
  const seen: StateRows[] = [];
  const prompts: StateRows[] = [];
  const loads: Parameters<HeadClient['load']>[0][] = [];
  let note: string | undefined;
  let die = (_reason: string) => {};
  let failure: string | undefined;
  const createHead = (onDeath: (reason: string) => void): HeadClient => {
    die = onDeath;
    return {
      load: async (request, onProgress) => {
        loads.push(request);
        onProgress({ loadedBytes: 1, totalBytes: 2, what: 'the FastRM head' });
        return { backend: 'wasm', note: undefined, isRestarted };
      },
      openImage(patchStates) {
        seen.push(patchStates);
        let words = 0;
        return {
          setPrompt(states) {
            prompts.push(states);
            if (hasText) words = states.rows;
          },
          async maps({ values, rows, cols }) {
            await new Promise((resolve) => setTimeout(resolve, delayMs));
            if (failure !== undefined) throw new Error(failure);
            batches.push(rows);
            const filled = (count: number, from: number) =>
              Float32Array.from({ length: rows * count }, (_, at) => values[Math.floor(at / count) * cols + from]!);
            const promptValues = words > 0 ? filled(words, 1) : undefined;
            return { values: filled(P, 0), promptValues, tokens: rows, computeMs: 6, backend: 'wasm', note };
          },
        };
      },
      destroy: () => {},
    };
  };
  return {
    createHead,
    batches,
    seen,
    prompts,
    loads,
    note: (text: string) => {
      note = text;
    },
    die: (reason: string) => die(reason),
    fail: (reason: string) => {
      failure = reason;
    },
  };
}

function sourceOf(head = headOf()) {
  const source = createCompanionSource({
    apiUrl: './v1/',
    backend: 'auto',
    encodePicture: encodeAs(sha256, pixelsSha256),
    createHead: head.createHead,
  });
  const statuses: SourceStatus[] = [];
  source.subscribe((status) => statuses.push(status));
  return { source, statuses, head };
}

async function eventsOf(events: AsyncIterable<RunEvent>, onEvent: (event: RunEvent) => void = () => {}) {
  const all: RunEvent[] = [];
  for await (const event of events) {
    all.push(event);
    onEvent(event);
  }
  return all;
}

const never = new AbortController().signal;
const typesOf = (events: readonly RunEvent[]) => events.map(({ type }) => type);
const mapsOf = (events: readonly RunEvent[]) => events.flatMap((event) => (event.type === 'map' ? [event.map] : []));
const headerOf = (events: readonly RunEvent[]) => {
  const begin = events.find((event) => event.type === 'begin');
  if (begin?.type !== 'begin') throw new Error('expected a begin event');
  return begin.header;
};
const endOf = (events: readonly RunEvent[]) => {
  const end = events.at(-1);
  if (end?.type !== 'end') throw new Error('expected an end event');
  return end.end;
};

beforeEach(() => vi.stubGlobal('document', { baseURI: 'http://box:8642/' }));
afterEach(() => vi.unstubAllGlobals());

describe('connecting', () => {
  it('reports what it loads, then the model and its device', async () => {
    companionOf();
    const { source, statuses } = sourceOf();
    await source.load();
    expect(statuses.map(({ phase }) => phase)).toEqual(['loading', 'loading', 'ready']);
    expect(statuses[1]).toMatchObject({ what: 'the FastRM head', totalBytes: 2 });
    expect(source.status).toEqual({ phase: 'ready', backend: 'wasm', device: 'cuda:0' });
    expect(source.model).toMatchObject({ name: 'random-weights', hiddenSize: 32, knows: 'Nothing.' });
    expect(source.weights).toBe(model.weights);
  });

  it('reports that the head runs on one thread because a start on several stalled', async () => {
    companionOf();
    const { source } = sourceOf(headOf({ isRestarted: true }));
    await source.load();
    expect(source.status).toMatchObject({ phase: 'ready', backend: 'wasm', isRestarted: true });
  });

  it.each([
    [
      'the companion does not respond',
      { health: gone },
      'the companion does not respond (is patchlight serve still running?)',
    ],
    [
      'it speaks another protocol',
      { health: () => json({ status: 'ready', version: '9.0', protocol: 3 }) },
      'the companion (9.0) uses protocol 3; this page supports 2',
    ],
    [
      'it requires its token',
      { health: () => json({ detail: 'this companion requires a token' }, 401) },
      'the companion requires its token: open the address that patchlight serve printed',
    ],
    [
      'another server responds',
      { health: () => new Response('<html>') },
      'the server at this address is not a companion',
    ],
    [
      'its model description is invalid',
      { model: () => json({ ...model, hiddenSize: -1 }) },
      /of its model is invalid.*hiddenSize/s,
    ],
  ])('fails with the reason if %s, and works when retried', async (_case, change, reason) => {
    const companion = companionOf(change);
    const { source } = sourceOf();
    const { message } = await source.load().then(
      () => new Error('it loaded without an error'),
      (error: Error) => error,
    );
    if (typeof reason === 'string') expect(message).toBe(reason);
    else expect(message).toMatch(reason);
    expect(source.status).toEqual({ phase: 'failed', reason: message });
    Object.assign(companion, companionOf());
    await source.load();
    expect(source.status.phase).toBe('ready');
  });

  it('loads a head again once it has weights for words', async () => {
    const companion = companionOf();
    const { source, head: loading } = sourceOf();
    await source.load();
    companion.generate = gone;
    companion.health = gone;
    await expect(eventsOf(source.ask(question, never))).rejects.toThrow('does not respond');
    await vi.waitFor(() => expect(source.status.phase).toBe('failed'));
    const textWeights = { ...file('fastrm-text.bin'), sha256: '6'.repeat(64) };
    companion.model = () => json({ ...model, head: { ...head, files: { ...head.files, textWeights } } });
    companion.health = () => json({ status: 'ready', version: '0.1.0', protocol: 2 });
    await source.load();
    expect(loading.loads.map((request) => request.textWeights)).toEqual([null, textWeights]);
  });
});

describe('an answer', () => {
  it('waits in the queue, then yields tokens and the maps of their states, in order', async () => {
    companionOf();
    const { source, head } = sourceOf();
    const events = await eventsOf(source.ask(question, never));
    expect(events.slice(0, 3)).toMatchObject([
      { type: 'queued', before: 2 },
      { type: 'queued', before: 1 },
      { type: 'begin', header: { image, recorded: false, head: { name: 'random-weights-head' } } },
    ]);
    expect(typesOf(events).filter((type) => type === 'token')).toHaveLength(6);
    expect(mapsOf(events).map(({ tokenIndex }) => tokenIndex)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(endOf(events).reason).toBe('length');
    expect(head.seen).toMatchObject([{ rows: 16, cols: 32 }]);
  });

  it('computes the maps of queued tokens in one batch', async () => {
    companionOf();
    const { source, head } = sourceOf(headOf({ delayMs: 5 }));
    const events = await eventsOf(source.ask(question, never));
    expect(head.batches.reduce((sum, rows) => sum + rows, 0)).toBe(6);
    expect(head.batches.length).toBeLessThan(6);
    // Each token has its own map: the stub fills it with the first value of the query state.
    const first = recorded.batches.slice(3, 9).map((batch) => batch.getChild('queryState')?.get(0)?.toArray()[0]);
    expect(mapsOf(events).map(({ values }) => values[0])).toEqual(first);
    expect(mapsOf(events).every(({ values }) => values.length === P)).toBe(true);
    // The time of a batch is divided among its maps.
    const total = mapsOf(events).reduce((sum, { computeMs }) => sum + computeMs, 0);
    expect(total).toBeCloseTo(6 * head.batches.length, 9);
  });

  it('has each word of the prompt weighed for each token if the head can, in one batch too', async () => {
    companionOf();
    const { source, head } = sourceOf(headOf({ delayMs: 5, hasText: true }));
    const events = await eventsOf(source.ask(question, never));
    const words = events.flatMap((event) => (event.type === 'prompt' ? event.tokens : [])).length;
    expect(words).toBe(12);
    expect(head.prompts).toMatchObject([{ rows: words, cols: 32 }]);
    const second = recorded.batches.slice(3, 9).map((batch) => batch.getChild('queryState')?.get(0)?.toArray()[1]);
    expect(mapsOf(events).map(({ text }) => [...text!.prompt])).toEqual(
      second.map((value) => Array.from({ length: words }, () => value)),
    );
    expect(mapsOf(events).every(({ text }) => text!.answer.length === 0)).toBe(true);
    expect(mapsOf(events).every(({ values }) => values.length === P)).toBe(true);
  });

  it('has maps without words if the head cannot weigh these, and the status says why', async () => {
    companionOf();
    const silent = headOf();
    const { source } = sourceOf(silent);
    silent.note('The head’s output for words cannot be used: it holds NaN');
    const events = await eventsOf(source.ask(question, never));
    expect(mapsOf(events)).toHaveLength(6);
    expect(mapsOf(events).every((map) => !('text' in map))).toBe(true);
    expect(source.status).toMatchObject({ phase: 'ready', note: expect.stringContaining('it holds NaN') });
  });

  it('is requested with the question and the image, and tells the companion not to send the image back', async () => {
    let sent: FormData | undefined;
    companionOf({
      generate({ body }) {
        sent = body as FormData;
        return new Response(whole() as BodyInit);
      },
    });
    await eventsOf(sourceOf().source.ask({ ...question, maxNewTokens: 9 }, never));
    const request = sent?.get('request') as Blob;
    expect(JSON.parse(await request.text())).toEqual({
      question: question.text,
      sendImage: false,
      maxNewTokens: 9,
      pixels: { widthPx: 40, heightPx: 24, sha256: pixelsSha256 },
    });
    const file = sent?.get('image') as File;
    expect([file.name, file.type, [...new Uint8Array(await file.arrayBuffer())]]).toEqual([
      'one.webp.png',
      'image/png',
      [1, 2, 3],
    ]);
  });

  it('is refused if it is about a different image', async () => {
    companionOf({
      generate: () => new Response(streamOf([states], { image: { mediaType: '', name: '', sha256: 'f' } }) as BodyInit),
    });
    await expect(eventsOf(sourceOf().source.ask(question, never))).rejects.toThrow('about a different image');
  });

  it('is refused if its maps are for an image of another size', async () => {
    companionOf();
    const turned = { ...question, image: { ...image, picture: { ...picture, widthPx: 24, heightPx: 40 } } };
    await expect(eventsOf(sourceOf().source.ask(turned, never))).rejects.toThrow(
      'the maps are for an image of 40 × 24 pixels, but the image has 24 × 40',
    );
  });
});

describe('explaining an answer', () => {
  const refusalsOf = (source: ReturnType<typeof sourceOf>['source'], header: RunHeader) =>
    Object.fromEntries(source.offers(header).map(({ method, refusal }) => [method, refusal]));

  it('is offered according to the companion’s description and the states held from this visit', async () => {
    companionOf({ model: () => json({ ...model, methods: ['chefer'] }) });
    const { source } = sourceOf();
    const header = headerOf(await eventsOf(source.ask(question, never)));
    expect(refusalsOf(source, header)).toMatchObject({
      fastrm: undefined,
      chefer: undefined,
      tam: undefined,
      gradcam: 'This companion does not offer GradCAM, attention.',
    });
    expect(refusalsOf(source, { ...header, id: 'of another visit' }).tam).toMatch('no longer stored');
    expect(refusalsOf(sourceOf().source, header).chefer).toBe('The companion is not connected.');
  });

  it('reports that the companion is gone if it does not respond', async () => {
    const companion = companionOf();
    const { source } = sourceOf();
    const events = await eventsOf(source.ask(question, never));
    const tokens = events.flatMap((event) => (event.type === 'token' ? [event.token] : []));
    companion.health = gone;
    const request = { method: 'chefer', header: headerOf(events), tokens, tokenIndices: [0] } as const;
    const explaining = async () => {
      for await (const _ of source.explain(request, never));
    };
    await expect(explaining()).rejects.toThrow('the companion does not respond');
    await vi.waitFor(() => expect(source.status.phase).toBe('failed'));
  });
});

describe('a refused question', () => {
  it.each([
    [422, 'the question is empty'],
    [413, 'the image has 9 bytes, the limit is 8'],
    [415, 'the image cannot be read: BMP'],
  ])('is a problem of the question: %d', async (status, detail) => {
    companionOf({ generate: () => json({ type: 'x', title: 'x', status, detail }, status) });
    const refused = eventsOf(sourceOf().source.ask(question, never));
    await expect(refused).rejects.toThrow(QuestionRefused);
    await expect(refused).rejects.toMatchObject({ problem: { kind: 'refused', reason: detail } });
  });

  it('says when to try again if the queue is full', async () => {
    const detail = 'the queue is full, at most 16 questions may wait: try again in 5 s';
    companionOf({ generate: () => json({ detail }, 503, { 'Retry-After': '5' }) });
    const { source } = sourceOf();
    await expect(eventsOf(source.ask(question, never))).rejects.toThrow(detail);
    expect(source.status.phase, 'it is there').toBe('ready');
  });

  const unacceptable = {
    bytes: [
      { ...picture, blob: new Blob([new Uint8Array(1001)]) },
      'one.webp has 1001 bytes as the PNG that is sent; the companion accepts at most 1000. Make it smaller first',
    ],
    pixels: [
      { ...picture, widthPx: 101, heightPx: 100 },
      'one.webp has 10100 pixels (101 × 100); the companion accepts at most 10000. Make it smaller first',
    ],
    sides: [
      { ...picture, widthPx: 101, heightPx: 1 },
      'one.webp is 101 × 1 pixels; the companion accepts sides up to 100:1. Crop it first',
    ],
  } as const;

  it.each(Object.entries(unacceptable))(
    'is not sent if the image exceeds a known limit: %s',
    async (_, [larger, reason]) => {
      companionOf({ generate: gone });
      const { source } = sourceOf();
      const other = { ...image, picture: larger };
      expect(await source.checkImage(other), 'not known yet').toBeUndefined();
      await expect(eventsOf(source.ask({ ...question, image: other }, never))).rejects.toThrow(reason);
      expect(await source.checkImage(other), 'known when the next image is chosen').toBe(`${reason}.`);
      expect(await source.checkImage(image)).toBeUndefined();
    },
  );
});

describe('an interrupted answer', () => {
  const cut = (share: number) => {
    const bytes = whole();
    return bytes.slice(0, Math.floor(bytes.length * share));
  };
  /** Bytes, then the error a browser raises when the server dies. */
  const dying = (bytes: Uint8Array) =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(bytes);
        setTimeout(() => controller.error(new TypeError('network error')), 5);
      },
    });

  it('keeps the received tokens with their maps, and reports that the companion is gone', async () => {
    const companion = companionOf({
      generate() {
        companion.health = gone;
        return new Response(dying(cut(0.8)));
      },
    });
    const { source } = sourceOf();
    const events = await eventsOf(source.ask(question, never));
    const tokens = events.filter(({ type }) => type === 'token').length;
    expect(tokens).toBeGreaterThan(0);
    expect(tokens).toBeLessThan(6);
    expect(mapsOf(events)).toHaveLength(tokens);
    expect(endOf(events)).toMatchObject({ reason: 'truncated', message: 'the connection to the companion was lost' });
    await vi.waitFor(() => expect(source.status.phase).toBe('failed'));
    companionOf();
    const again = await eventsOf(source.ask(question, never));
    expect(endOf(again).reason, 'asking again connects again').toBe('length');
  });

  it('ends as truncated if the stream stops early and the companion is still running', async () => {
    companionOf({ generate: () => new Response(cut(0.8) as BodyInit) });
    const { source } = sourceOf();
    expect(endOf(await eventsOf(source.ask(question, never))).reason).toBe('truncated');
    expect(source.status.phase).toBe('ready');
  });

  it('throws if it was still queued', async () => {
    companionOf({ generate: () => new Response(streamOf(queued.slice(0, 2)) as BodyInit) });
    await expect(eventsOf(sourceOf().source.ask(question, never))).rejects.toThrow('does not respond');
  });

  it('fails with the reason if the bytes are inconsistent, and keeps what was received', async () => {
    const bytes = streamOf([states, answerRows[0], answerRows[2]]);
    companionOf({ generate: () => new Response(bytes as BodyInit) });
    const events = await eventsOf(sourceOf().source.ask(question, never));
    expect(typesOf(events)).toEqual(['begin', 'token', 'map', 'end']);
    expect(endOf(events)).toMatchObject({ reason: 'failed', message: 'Expected token 1, got token 2' });
  });

  it('throws with both version numbers if the stream has another version', async () => {
    companionOf({ generate: () => new Response(streamOf([states], { formatVersion: 3 }) as BodyInit) });
    await expect(eventsOf(sourceOf().source.ask(question, never))).rejects.toThrow(
      'version 3; this page supports version 2',
    );
  });

  it('keeps what was received and aborts the request when stopped on a silent connection', async () => {
    let isLetGo = false;
    const silent = new ReadableStream({
      start: (controller) => controller.enqueue(cut(0.8)),
      cancel: () => {
        isLetGo = true;
      },
    });
    companionOf({
      generate({ signal }) {
        // As with fetch, reading the body fails after an abort.
        signal?.addEventListener('abort', () => reader?.(new DOMException('stopped', 'AbortError')));
        let reader: ((error: unknown) => void) | undefined;
        const body = new ReadableStream({
          async start(controller) {
            reader = (error) => controller.error(error);
            const from = silent.getReader();
            controller.enqueue((await from.read()).value);
            signal?.addEventListener('abort', () => void from.cancel());
          },
        });
        return new Response(body);
      },
    });
    const stop = new AbortController();
    let tokens = 0;
    const events = await eventsOf(sourceOf().source.ask(question, stop.signal), ({ type }) => {
      if (type === 'token') tokens += 1;
      if (tokens === 2) setTimeout(() => stop.abort(), 5);
    });
    expect(endOf(events).reason).toBe('cancelled');
    expect(mapsOf(events).length).toBe(typesOf(events).filter((type) => type === 'token').length);
    expect(isLetGo).toBe(true);
  });
});

describe('answers without FastRM maps', () => {
  it('state that the model has no head, and how to train one', async () => {
    const none = { ...model, head: null };
    companionOf({
      model: () => json(none),
      generate: () => new Response(streamOf([states, prompt, ...answerRows], { head: null }) as BodyInit),
    });
    const { source } = sourceOf();
    const events = await eventsOf(source.ask(question, never));
    expect(headerOf(events)).toMatchObject({
      noHead: {
        kind: 'absent',
        reason: 'random-weights has no FastRM head.',
        trainCommand: 'patchlight train --model random-weights',
      },
    });
    expect(typesOf(events).filter((type) => type === 'token')).toHaveLength(6);
    expect(mapsOf(events)).toEqual([]);
    expect(endOf(events)).toEqual({ reason: 'length', answerMs: expect.any(Number), firstTokenMs: expect.any(Number) });
  });

  it('offer no training if the model rules out the maps that a head learns from', async () => {
    const refusedMethods = [{ method: 'chefer', reason: 'it has no softmax attention' }];
    companionOf({
      model: () => json({ ...model, head: null, methods: ['tam'], refusedMethods }),
      generate: () => new Response(streamOf([states, prompt, ...answerRows], { head: null }) as BodyInit),
    });
    const { source } = sourceOf();
    const header = headerOf(await eventsOf(source.ask(question, never)));
    expect(header.noHead).toEqual({ kind: 'absent', reason: 'random-weights has no FastRM head.' });
    expect(source.offers(header).find(({ method }) => method === 'chefer')?.refusal).toBe(
      'Not possible with this model: it has no softmax attention.',
    );
  });

  it.each([
    [
      { hiddenSize: 64 },
      'Head random-weights-head reads post_norm states of size 64, but random-weights produces post_norm states of size 32.',
    ],
    [
      { stage: 'pre_norm' },
      'Head random-weights-head reads pre_norm states of size 32, but random-weights produces post_norm states of size 32.',
    ],
  ])('name both sides if the head does not fit: %j', async (change, reason) => {
    companionOf({ model: () => json({ ...model, head: { ...head, ...change } }) });
    const { source } = sourceOf();
    const events = await eventsOf(source.ask(question, never));
    expect(headerOf(events)).toMatchObject({ noHead: { reason } });
    expect(headerOf(events).head).toBeUndefined();
    expect(mapsOf(events)).toEqual([]);
    expect(source.status).toMatchObject({ phase: 'ready', backend: undefined, note: reason });
  });

  it('state why the head could not be loaded', async () => {
    companionOf();
    const broken = headOf();
    const createHead = (onDeath: (reason: string) => void): HeadClient => ({
      ...broken.createHead(onDeath),
      load: () => Promise.reject(new Error('head/fastrm.bin has 3 bytes; its manifest says 1')),
    });
    const { source } = sourceOf({ ...broken, createHead });
    const events = await eventsOf(source.ask(question, never));
    expect(headerOf(events).noHead?.reason).toContain('head/fastrm.bin has 3 bytes; its manifest says 1');
    expect(typesOf(events).filter((type) => type === 'token')).toHaveLength(6);
  });

  it('state from which token the head failed, and keep the answer', async () => {
    companionOf();
    const failing = headOf({ delayMs: 2 });
    const { source } = sourceOf(failing);
    const events = await eventsOf(source.ask(question, never), ({ type }) => {
      if (type === 'map') failing.fail('the head holds NaN');
    });
    expect(typesOf(events).filter((type) => type === 'token')).toHaveLength(6);
    expect(mapsOf(events).length).toBeLessThan(6);
    expect(endOf(events).message).toMatch(/^No maps from token \d on: the head holds NaN$/);
  });

  it('occur once after the companion restarts with another head; the next answer has maps', async () => {
    const companion = companionOf();
    const { source } = sourceOf();
    await source.load();
    const newer = { ...head, revision: 'newer' };
    companion.model = () => json({ ...model, head: newer });
    const { files: _, hiddenSize: __, ...inHeader } = newer;
    companion.generate = () => new Response(streamOf([states, prompt, ...answerRows], { head: inHeader }) as BodyInit);
    const first = await eventsOf(source.ask(question, never));
    expect(headerOf(first).noHead?.reason).toMatch(
      /restarted.*head random-weights-head newer.*Ask again for FastRM maps/,
    );
    const second = await eventsOf(source.ask(question, never));
    expect(mapsOf(second)).toHaveLength(6);
  });

  it.each([
    ['hiddenSize', { hiddenSize: 64 }, { hiddenSize: 64 }],
    ['stage', { stage: 'pre_norm' }, { stage: 'pre_norm' }],
    ['name', { name: 'another-head' }, {}],
  ])('are absent if the answer was computed for a head with another %s', async (field, ofHead, ofModel) => {
    const companion = companionOf();
    const { source } = sourceOf();
    await source.load();
    const { files: _, hiddenSize: __, ...inHeader } = { ...head, ...ofHead };
    const { model: recordedModel } = JSON.parse(recorded.schema.metadata.get('patchlight.run') ?? '');
    const changes = { head: inHeader, model: { ...recordedModel, ...ofModel } };
    companion.generate = () => new Response(streamOf([answerRows.at(-1)], changes) as BodyInit);
    companion.model = () => json({ ...model, ...ofModel, head: { ...head, ...ofHead } });
    const reason = headerOf(await eventsOf(source.ask(question, never))).noHead?.reason;
    expect(reason).toMatch(/restarted since this page connected/);
    expect(reason).toContain(String(Object.values(field === 'name' ? ofHead : ofModel)[0]));
  });

  it("stop once the head's dead worker has been restarted", async () => {
    companionOf();
    const dying = headOf();
    const { source } = sourceOf(dying);
    await source.load();
    dying.die('out of memory');
    expect(source.status).toMatchObject({ phase: 'ready', backend: undefined });
    expect(mapsOf(await eventsOf(source.ask(question, never)))).toHaveLength(6);
  });
});
