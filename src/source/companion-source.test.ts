import { readFileSync } from 'node:fs';
import { type RecordBatch, Schema, Table, tableFromIPC, tableToIPC } from 'apache-arrow';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CompanionModel } from '../contract/companion';
import type { RunEvent, RunHeader } from '../contract/run';
import type { StateRows } from '../contract/run-rows';
import type { HeadClient } from '../inference/head-client';
import { createCompanionSource } from './companion-source';
import { QuestionRefused, type SourceStatus } from './run-source';

const fixture = (name: string) =>
  tableFromIPC(readFileSync(new URL(`../contract/fixtures/${name}.run`, import.meta.url)));
const recorded = fixture('random-weights'); // image, states, prompt, six tokens, end
const [, states, prompt, ...answerRows] = recorded.batches as RecordBatch[];
const queued = fixture('live-stream').batches.slice(0, 3); // places 2, 1, 0

const sha256 = '5'.repeat(64);
const image = { bytes: new Uint8Array([1, 2, 3]), mediaType: 'image/png', name: 'one.png', sha256 };
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
  files: { graph: file('fastrm.onnx'), normGraph: file('fastrm-norm.onnx'), weights: file('fastrm.bin') },
};
const model: CompanionModel = {
  name: 'random-weights',
  revision: '94c0b4d387c2',
  family: 'LLaVA-1.5',
  hiddenSize: 32,
  stage: 'post_norm',
  dtype: 'float32',
  device: 'cuda:0',
  knows: 'Nothing.',
  limits: { imageBytes: 1000, imageFormats: ['image/png'], unembeddingIds: 4 },
  methods: ['fastrm', 'chefer', 'dex-ar', 'tam'],
  unembedding: true,
  head,
  calibration: null,
  trainCommand: 'patchlight train --model random-weights',
};

/** A stream as the companion sends it: no picture, not recorded. */
function streamOf(batches: readonly (RecordBatch | undefined)[], change: Record<string, unknown> = {}): Uint8Array {
  const header = JSON.parse(recorded.schema.metadata.get('patchlight.run') ?? '');
  const live = { ...header, recorded: false, image: { ...header.image, sha256 }, ...change };
  const schema = new Schema(recorded.schema.fields, new Map([['patchlight.run', JSON.stringify(live)]]));
  return tableToIPC(new Table(schema, batches as RecordBatch[]), 'stream');
}

const whole = () => streamOf([...queued, states, prompt, ...answerRows]);

interface Companion {
  /** What each route answers; a function is called for each request. */
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
        throw new Error(`no such route: ${url.pathname}`);
    }
  });
  return companion;
}

/** A head whose maps hold the number of their query state's first value; `delayMs` lets tokens come to wait. */
function headOf(delayMs = 0) {
  const batches: number[] = [];
  const seen: StateRows[] = [];
  let die = (_reason: string) => {};
  let fault: string | undefined;
  const createHead = (onDeath: (reason: string) => void): HeadClient => {
    die = onDeath;
    return {
      load: async (_request, onProgress) => {
        onProgress({ loadedBytes: 1, totalBytes: 2, what: 'the FastRM head' });
        return { backend: 'wasm', note: undefined };
      },
      openImage(patchStates) {
        seen.push(patchStates);
        return {
          async maps({ values, rows, cols }) {
            await new Promise((resolve) => setTimeout(resolve, delayMs));
            if (fault !== undefined) throw new Error(fault);
            batches.push(rows);
            const maps = Float32Array.from({ length: rows * P }, (_, at) => values[Math.floor(at / P) * cols]!);
            return { values: maps, tokens: rows, computeMs: 6, backend: 'wasm', note: undefined };
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
    die: (reason: string) => die(reason),
    fail: (reason: string) => {
      fault = reason;
    },
  };
}

function sourceOf(head = headOf()) {
  const source = createCompanionSource({ apiUrl: './v1/', backend: 'auto', createHead: head.createHead });
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
  if (begin?.type !== 'begin') throw new Error('no begin');
  return begin.header;
};
const endOf = (events: readonly RunEvent[]) => {
  const end = events.at(-1);
  if (end?.type !== 'end') throw new Error('no end');
  return end.end;
};

beforeEach(() => vi.stubGlobal('document', { baseURI: 'http://box:8642/' }));
afterEach(() => vi.unstubAllGlobals());

describe('connecting', () => {
  it('says what it loads, then which model there is and what it runs on', async () => {
    companionOf();
    const { source, statuses } = sourceOf();
    await source.load();
    expect(statuses.map(({ phase }) => phase)).toEqual(['loading', 'loading', 'ready']);
    expect(statuses[1]).toMatchObject({ what: 'the FastRM head', totalBytes: 2 });
    expect(source.status).toEqual({ phase: 'ready', backend: 'wasm', device: 'cuda:0' });
    expect(source.model).toMatchObject({ name: 'random-weights', hiddenSize: 32, knows: 'Nothing.' });
  });

  it.each([
    ['nobody answers', { health: gone }, 'the companion does not respond (is patchlight serve still running?)'],
    [
      'it speaks another protocol',
      { health: () => json({ status: 'ready', version: '9.0', protocol: 3 }) },
      'the companion (9.0) speaks protocol 3; this page supports 2',
    ],
    [
      'it wants its token',
      { health: () => json({ detail: 'this companion requires a token' }, 401) },
      'the companion requires its token: open the address that patchlight serve printed',
    ],
    [
      'something else answers',
      { health: () => new Response('<html>') },
      'the server at this address is not a companion',
    ],
    [
      'its facts make no sense',
      { model: () => json({ ...model, hiddenSize: -1 }) },
      /of its model is invalid.*hiddenSize/s,
    ],
  ])('fails with the reason where %s, and works when tried again', async (_case, change, reason) => {
    const companion = companionOf(change);
    const { source } = sourceOf();
    const { message } = await source.load().then(
      () => new Error('it loaded'),
      (error: Error) => error,
    );
    if (typeof reason === 'string') expect(message).toBe(reason);
    else expect(message).toMatch(reason);
    expect(source.status).toEqual({ phase: 'failed', reason: message });
    Object.assign(companion, companionOf());
    await source.load();
    expect(source.status.phase).toBe('ready');
  });
});

describe('an answer', () => {
  it('waits its turn, then gives tokens and the maps made of their states, in order', async () => {
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

  it('makes maps of several tokens at once where they had to wait', async () => {
    companionOf();
    const { source, head } = sourceOf(headOf(5));
    const events = await eventsOf(source.ask(question, never));
    expect(head.batches.reduce((sum, rows) => sum + rows, 0)).toBe(6);
    expect(head.batches.length).toBeLessThan(6);
    // The map of each token is its own: the stub writes its query state's first value into it.
    const first = recorded.batches.slice(3, 9).map((batch) => batch.getChild('queryState')?.get(0)?.toArray()[0]);
    expect(mapsOf(events).map(({ values }) => values[0])).toEqual(first);
    expect(mapsOf(events).every(({ values }) => values.length === P)).toBe(true);
    // A batch's time is shared by its maps.
    const total = mapsOf(events).reduce((sum, { computeMs }) => sum + computeMs, 0);
    expect(total).toBeCloseTo(6 * head.batches.length, 9);
  });

  it('is asked for with the question and the picture, and without a request to send the picture back', async () => {
    let sent: FormData | undefined;
    companionOf({
      generate({ body }) {
        sent = body as FormData;
        return new Response(whole() as BodyInit);
      },
    });
    await eventsOf(sourceOf().source.ask({ ...question, maxNewTokens: 9 }, never));
    const request = sent?.get('request') as Blob;
    expect(JSON.parse(await request.text())).toEqual({ question: question.text, sendImage: false, maxNewTokens: 9 });
    const picture = sent?.get('image') as File;
    expect([picture.name, picture.type, [...new Uint8Array(await picture.arrayBuffer())]]).toEqual([
      'one.png',
      'image/png',
      [1, 2, 3],
    ]);
  });

  it('is refused where it is about a different image', async () => {
    companionOf({
      generate: () => new Response(streamOf([states], { image: { mediaType: '', name: '', sha256: 'f' } }) as BodyInit),
    });
    await expect(eventsOf(sourceOf().source.ask(question, never))).rejects.toThrow('about a different image');
  });
});

describe('explaining an answer', () => {
  const refusalsOf = (source: ReturnType<typeof sourceOf>['source'], header: RunHeader) =>
    Object.fromEntries(source.offers(header).map(({ method, refusal }) => [method, refusal]));

  it('is offered by what the companion says of itself, and by the states of answers that this visit had', async () => {
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

  it('says that the companion is gone where it does not answer', async () => {
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

describe('what the companion refuses', () => {
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

  it('says when to come back where the queue is full', async () => {
    const detail = 'the queue is full, at most 16 questions may wait: try again in 5 s';
    companionOf({ generate: () => json({ detail }, 503, { 'Retry-After': '5' }) });
    const { source } = sourceOf();
    await expect(eventsOf(source.ask(question, never))).rejects.toThrow(detail);
    expect(source.status.phase, 'it is there').toBe('ready');
  });

  it('is not sent at all where the limits are known: bytes and format', async () => {
    companionOf({ generate: gone });
    const { source } = sourceOf();
    const large = { ...question, image: { ...image, bytes: new Uint8Array(1001) } };
    await expect(eventsOf(source.ask(large, never))).rejects.toThrow(
      'one.png has 1001 bytes; the companion accepts at most 1000',
    );
    const gif = { ...question, image: { ...image, mediaType: 'image/gif' } };
    await expect(eventsOf(source.ask(gif, never))).rejects.toThrow(
      'one.png is image/gif; the companion accepts image/png',
    );
  });
});

describe('an answer that breaks off', () => {
  const cut = (share: number) => {
    const bytes = whole();
    return bytes.slice(0, Math.floor(bytes.length * share));
  };
  /** Bytes, then what a browser says when the other end dies. */
  const dying = (bytes: Uint8Array) =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(bytes);
        setTimeout(() => controller.error(new TypeError('network error')), 5);
      },
    });

  it('keeps the tokens that came with their maps, and says that the companion is gone', async () => {
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

  it('ends as truncated where the stream stops short and the companion lives on', async () => {
    companionOf({ generate: () => new Response(cut(0.8) as BodyInit) });
    const { source } = sourceOf();
    expect(endOf(await eventsOf(source.ask(question, never))).reason).toBe('truncated');
    expect(source.status.phase).toBe('ready');
  });

  it('throws where not even its turn had come', async () => {
    companionOf({ generate: () => new Response(streamOf(queued.slice(0, 2)) as BodyInit) });
    await expect(eventsOf(sourceOf().source.ask(question, never))).rejects.toThrow('does not respond');
  });

  it('fails with what is wrong where the bytes contradict themselves, and keeps what came', async () => {
    const bytes = streamOf([states, answerRows[0], answerRows[2]]);
    companionOf({ generate: () => new Response(bytes as BodyInit) });
    const events = await eventsOf(sourceOf().source.ask(question, never));
    expect(typesOf(events)).toEqual(['begin', 'token', 'map', 'end']);
    expect(endOf(events)).toMatchObject({ reason: 'failed', message: 'Expected token 1, got token 2' });
  });

  it('throws both numbers where the stream is of another version', async () => {
    companionOf({ generate: () => new Response(streamOf([states], { formatVersion: 3 }) as BodyInit) });
    await expect(eventsOf(sourceOf().source.ask(question, never))).rejects.toThrow(
      'version 3; this page supports version 2',
    );
  });

  it('keeps what came when it is stopped on a line that has gone silent, and lets go of it', async () => {
    let isLetGo = false;
    const silent = new ReadableStream({
      start: (controller) => controller.enqueue(cut(0.8)),
      cancel: () => {
        isLetGo = true;
      },
    });
    companionOf({
      generate({ signal }) {
        // As fetch does it: the abort breaks the body.
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

describe('answers without maps', () => {
  it('say that the model has no head, and how to train one', async () => {
    const none = { ...model, head: null };
    companionOf({
      model: () => json(none),
      generate: () => new Response(streamOf([states, prompt, ...answerRows], { head: null }) as BodyInit),
    });
    const { source } = sourceOf();
    const events = await eventsOf(source.ask(question, never));
    expect(headerOf(events)).toMatchObject({
      noMaps: {
        reason: 'random-weights has no FastRM head, so its answers come without maps.',
        trainCommand: 'patchlight train --model random-weights',
      },
    });
    expect(typesOf(events).filter((type) => type === 'token')).toHaveLength(6);
    expect(mapsOf(events)).toEqual([]);
    expect(endOf(events).reason).toBe('length');
  });

  it.each([
    [
      { hiddenSize: 64 },
      'Head random-weights-head reads post_norm states of size 64, but random-weights gives post_norm states of size 32. Answers come without maps.',
    ],
    [
      { stage: 'pre_norm' },
      'Head random-weights-head reads pre_norm states of size 32, but random-weights gives post_norm states of size 32. Answers come without maps.',
    ],
  ])('name both sides where the head does not fit: %j', async (change, reason) => {
    companionOf({ model: () => json({ ...model, head: { ...head, ...change } }) });
    const { source } = sourceOf();
    const events = await eventsOf(source.ask(question, never));
    expect(headerOf(events)).toMatchObject({ noMaps: { reason } });
    expect(headerOf(events).head).toBeUndefined();
    expect(mapsOf(events)).toEqual([]);
    expect(source.status).toMatchObject({ phase: 'ready', backend: undefined, note: reason });
  });

  it('say why the head could not be loaded', async () => {
    companionOf();
    const broken = headOf();
    const createHead = (onDeath: (reason: string) => void): HeadClient => ({
      ...broken.createHead(onDeath),
      load: () => Promise.reject(new Error('head/fastrm.bin has 3 bytes; its manifest says 1')),
    });
    const { source } = sourceOf({ ...broken, createHead });
    const events = await eventsOf(source.ask(question, never));
    expect(headerOf(events).noMaps?.reason).toContain('head/fastrm.bin has 3 bytes; its manifest says 1');
    expect(typesOf(events).filter((type) => type === 'token')).toHaveLength(6);
  });

  it('say from which token on the head failed, and keep the answer', async () => {
    companionOf();
    const failing = headOf(2);
    const { source } = sourceOf(failing);
    const events = await eventsOf(source.ask(question, never), ({ type }) => {
      if (type === 'map') failing.fail('the head holds NaN');
    });
    expect(typesOf(events).filter((type) => type === 'token')).toHaveLength(6);
    expect(mapsOf(events).length).toBeLessThan(6);
    expect(endOf(events).message).toMatch(/^No maps from token \d on: the head holds NaN$/);
  });

  it('come once where the companion was started anew with another head, and then with maps again', async () => {
    const companion = companionOf();
    const { source } = sourceOf();
    await source.load();
    const newer = { ...head, revision: 'newer' };
    companion.model = () => json({ ...model, head: newer });
    const { files: _, hiddenSize: __, ...inHeader } = newer;
    companion.generate = () => new Response(streamOf([states, prompt, ...answerRows], { head: inHeader }) as BodyInit);
    const first = await eventsOf(source.ask(question, never));
    expect(headerOf(first).noMaps?.reason).toMatch(/restarted.*head random-weights-head newer.*Ask again for maps/);
    const second = await eventsOf(source.ask(question, never));
    expect(mapsOf(second)).toHaveLength(6);
  });

  it("come no more once the head's worker, which died, has been started again", async () => {
    companionOf();
    const dying = headOf();
    const { source } = sourceOf(dying);
    await source.load();
    dying.die('out of memory');
    expect(source.status).toMatchObject({ phase: 'ready', backend: undefined });
    expect(mapsOf(await eventsOf(source.ask(question, never)))).toHaveLength(6);
  });
});
