import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CompanionModel } from '../contract/companion';
import { parseExplainStream } from '../contract/explain-stream';
import { type MethodId, methodIds } from '../contract/methods';
import type { AnswerToken, ExplainEvent, RelevancyMap, RunHeader } from '../contract/run';
import { openRunRows } from '../contract/run-rows';
import { ActivationWorkerHere } from '../inference/activation-client.example';
import { createAnswerActivations } from './answer-activations';
import { createCompanionExplainer } from './companion-explainer';
import { createCompanionHttp } from './companion-http';
import { encodeAs, pictureOfHeader } from './picture.example';
import { openRecorded } from './recorded-run';
import { createRunStates } from './run-states';

// Responses recorded from a companion that serves the model of random-weights.run.
const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../contract/fixtures/${name}`, import.meta.url)));
const run = fixture('random-weights.run');

const model = {
  name: 'random-weights',
  revision: '94c0b4d387c2',
  limits: { imageBytes: 200_000, imagePixels: 10_000, images: 8, imageAspectRatio: 100, unembeddingIds: 4 },
  methods: ['fastrm', 'chefer', 'dex-ar', 'tam', 'a-method-of-next-year'],
  refusedMethods: [{ method: 'attention', reason: 'TinyModel caps its attention scores' }],
  unembedding: true,
} as unknown as CompanionModel;

const encodePicture = encodeAs('5'.repeat(64));

interface Answer {
  readonly header: RunHeader;
  readonly tokens: readonly AnswerToken[];
}

async function answerOf(): Promise<Answer> {
  let header: RunHeader | undefined;
  const tokens: AnswerToken[] = [];
  for await (const event of openRecorded(run, pictureOfHeader)) {
    if (event.type === 'begin') header = event.header;
    if (event.type === 'token') tokens.push(event.token);
  }
  return { header: header!, tokens };
}

interface Sent {
  readonly path: string;
  readonly request: unknown;
}

/** Stubs the companion's two routes and records the requests. */
function companionOf(explain: (signal: AbortSignal) => Response = () => new Response(fixture('chefer.explanation'))) {
  const sent: Sent[] = [];
  vi.stubGlobal('fetch', async (url: URL, { body, signal }: RequestInit & { signal: AbortSignal }) => {
    const request = body instanceof FormData ? JSON.parse(await (body.get('request') as Blob).text()) : undefined;
    sent.push({ path: url.href.replace('http://box/v1/', ''), request });
    signal.throwIfAborted();
    return url.pathname === '/v1/unembedding' ? new Response(fixture('vocabulary.rows')) : explain(signal);
  });
  return sent;
}

function explainerOf(connected: CompanionModel | undefined = model, heldBytes = 10 ** 6) {
  const states = createRunStates(heldBytes);
  const http = createCompanionHttp('http://box/v1/', encodePicture);
  const explainer = createCompanionExplainer({
    http,
    states,
    activations: createAnswerActivations({ http, states, model: () => connected }),
    model: () => connected,
    encodePicture,
  });
  const hold = async ({ header }: Answer) => {
    for await (const _ of states.watch(header.id, (await openRunRows(run)).rows));
  };
  return { ...explainer, hold };
}

const never = new AbortController().signal;

async function eventsOf(events: AsyncIterable<ExplainEvent>, onEvent: (event: ExplainEvent) => void = () => {}) {
  const all: ExplainEvent[] = [];
  for await (const event of events) {
    all.push(event);
    onEvent(event);
  }
  return all;
}

const mapsOf = (events: readonly ExplainEvent[]): RelevancyMap[] =>
  events.flatMap((event) => (event.type === 'map' ? [event.map] : []));

beforeEach(() => {
  ActivationWorkerHere.opened = 0;
  vi.stubGlobal('Worker', ActivationWorkerHere);
});
afterEach(() => vi.unstubAllGlobals());

describe('offers for an answer', () => {
  const refusalsOf = (explainer: ReturnType<typeof explainerOf>, header: RunHeader) =>
    Object.fromEntries(explainer.offers(header).map(({ method, refusal }) => [method, refusal]));

  it('list every method of the page, with refusals', async () => {
    const { header } = await answerOf();
    const explainer = explainerOf();
    expect(explainer.offers(header).map(({ method }) => method)).toEqual(methodIds);
    expect(refusalsOf(explainer, header)).toMatchObject({
      fastrm: undefined,
      chefer: undefined,
      tam: undefined,
      random: undefined,
      gradcam: 'This companion does not offer GradCAM, attention.',
      rollout: 'This companion does not offer Attention rollout.',
      attention: 'Not possible with this model: TinyModel caps its attention scores.',
      'fastrm-paper': 'A companion serves only one head, FastRM’s.',
      'fastrm-plus': expect.stringContaining('does not send the attention that FastRM+ needs besides hidden states'),
    });
  });

  it('refuse answers of another model', async () => {
    const { header } = await answerOf();
    const refusals = refusalsOf(explainerOf({ ...model, revision: 'another' }), header);
    const other = 'This answer is from random-weights 94c0b4d387c2; the companion serves random-weights another.';
    expect(refusals).toMatchObject({ fastrm: undefined, chefer: other, tam: other, random: undefined });
  });

  it('include FastRM if the answer has its maps, otherwise say why not', async () => {
    const { header } = await answerOf();
    const noHead = { kind: 'absent', reason: 'random-weights has no FastRM head.' } as const;
    const bare = { ...header, head: undefined };
    expect(refusalsOf(explainerOf(), { ...bare, noHead }).fastrm).toBe(noHead.reason);
    expect(refusalsOf(explainerOf(), bare).fastrm).toBe('This answer has no FastRM maps.');
  });

  it('include TAM without the companion’s help as long as the states are held', async () => {
    const answer = await answerOf();
    const without = { ...model, methods: ['chefer'] };
    const explainer = explainerOf(without);
    const gone = 'The hidden states of this answer are no longer stored; ask again to get TAM.';
    expect(refusalsOf(explainer, answer.header).tam).toBe(gone);
    await explainer.hold(answer);
    expect(refusalsOf(explainer, answer.header).tam).toBeUndefined();
    const small = explainerOf(without, 1000);
    await small.hold(answer);
    expect(refusalsOf(small, answer.header).tam).toBe(gone);
  });
});

describe('token activation in this page', () => {
  it('computes the same maps as the companion', async () => {
    const sent = companionOf();
    const answer = await answerOf();
    const explainer = explainerOf();
    await explainer.hold(answer);
    const request = { method: 'tam', ...answer, tokenIndices: [5, 1] } as const;
    const events = await eventsOf(explainer.explain(request, never));
    expect(events.at(-1)).toMatchObject({ reason: 'done', cost: { tokens: 2, forwardPasses: 0, backwardPasses: 0 } });

    const expected = { method: 'tam', model: answer.header.model, tokenIndices: [5, 1], patches: 16 } as const;
    const theirs = mapsOf(await eventsOf(parseExplainStream(fixture('tam.explanation'), expected)));
    for (const [i, map] of mapsOf(events).entries()) {
      const other = theirs[i]!;
      expect(map).toMatchObject({ method: 'tam', tokenIndex: other.tokenIndex, backend: 'script' });
      // States and rows were sent as fp16, with a relative error of 1e-3; the values are in 0..1.
      expect(largestDifference(map.values, other.values)).toBeLessThan(5e-3);
      expect(largestDifference(map.text!.prompt, other.text!.prompt)).toBeLessThan(5e-3);
      expect(largestDifference(map.text!.answer, other.text!.answer)).toBeLessThan(5e-3);
    }
    // Each row is requested once, in batches no larger than the companion's limit.
    const ids = sent.map(({ path }) => path.replace('unembedding?ids=', '').split(','));
    expect(Math.max(...ids.map(({ length }) => length))).toBe(4);
    expect(new Set(ids.flat()).size).toBe(ids.flat().length);
  });

  it('requests nothing twice and opens an answer once', async () => {
    const sent = companionOf();
    const answer = await answerOf();
    const explainer = explainerOf();
    await explainer.hold(answer);
    const first = await eventsOf(explainer.explain({ method: 'tam', ...answer, tokenIndices: [2] }, never));
    const requests = sent.length;
    const again = await eventsOf(explainer.explain({ method: 'tam', ...answer, tokenIndices: [4, 2] }, never));
    expect(sent.length).toBe(requests);
    expect(ActivationWorkerHere.opened).toBe(1);
    expect(mapsOf(again)[1]?.values).toEqual(mapsOf(first)[0]?.values);
  });

  it('ends as cancelled when aborted', async () => {
    companionOf();
    const answer = await answerOf();
    const explainer = explainerOf();
    await explainer.hold(answer);
    const stop = new AbortController();
    const request = { method: 'tam', ...answer, tokenIndices: [0, 1, 2, 3] } as const;
    const events = await eventsOf(
      explainer.explain(request, stop.signal),
      ({ type }) => type === 'map' && stop.abort(),
    );
    expect(events.map(({ type }) => type)).toEqual(['map', 'end']);
    expect(events[1]).toMatchObject({ reason: 'cancelled', cost: { tokens: 1 } });
    const early = await eventsOf(explainerOf().explain({ ...request, method: 'random' }, AbortSignal.abort()));
    expect(early).toMatchObject([{ type: 'end', reason: 'cancelled', cost: { tokens: 0 } }]);
  });
});

describe('explanations by the companion', () => {
  it('are requested with the image, the question and the streamed answer', async () => {
    const sent = companionOf();
    const answer = await answerOf();
    const request = { method: 'chefer', ...answer, tokenIndices: [5, 1] } as const;
    const events = await eventsOf(explainerOf().explain(request, never));
    expect(events.map(({ type }) => type)).toEqual(['check', 'map', 'map', 'end']);
    expect(sent).toEqual([
      {
        path: 'explain',
        request: {
          question: 'What color is the large sphere?',
          method: 'chefer',
          answerIds: [38, 34, 134, 109, 29, 79],
          logProbs: answer.tokens.map(({ logProb }) => logProb),
          tokenIndices: [5, 1],
          pixels: { widthPx: 40, heightPx: 24, sha256: '7'.repeat(64) },
        },
      },
    ]);
  });

  it('include TAM if the states are not held here', async () => {
    const sent = companionOf(() => new Response(fixture('tam.explanation')));
    const request = { method: 'tam' as MethodId, ...(await answerOf()), tokenIndices: [5, 1] };
    const events = await eventsOf(explainerOf().explain(request, never));
    expect(mapsOf(events).map(({ backend }) => backend)).toEqual(['python', 'python']);
    expect(sent.map(({ path }) => path)).toEqual(['explain']);
  });

  it('end as cancelled with the maps received when aborted', async () => {
    const whole = fixture('chefer.explanation');
    let isLetGo = false;
    companionOf(
      (signal) =>
        new Response(
          new ReadableStream({
            start(controller) {
              controller.enqueue(whole.slice(0, Math.floor(whole.length * 0.75)));
              signal.addEventListener('abort', () => {
                isLetGo = true;
                controller.error(signal.reason);
              });
            },
          }),
        ),
    );
    const stop = new AbortController();
    const request = { method: 'chefer', ...(await answerOf()), tokenIndices: [5, 1] } as const;
    const events = await eventsOf(
      explainerOf().explain(request, stop.signal),
      ({ type }) => type === 'map' && stop.abort(),
    );
    expect(events.map(({ type }) => type)).toEqual(['check', 'map', 'end']);
    expect(events[2]).toMatchObject({ reason: 'cancelled', cost: { tokens: 1 } });
    expect(isLetGo).toBe(true);
  });

  it('are aborted if the reader stops early', async () => {
    let isLetGo = false;
    companionOf((signal) => {
      signal.addEventListener('abort', () => {
        isLetGo = true;
      });
      return new Response(fixture('chefer.explanation'));
    });
    const request = { method: 'chefer', ...(await answerOf()), tokenIndices: [5, 1] } as const;
    for await (const event of explainerOf().explain(request, never)) if (event.type === 'map') break;
    expect(isLetGo).toBe(true);
  });

  it('are refused with the companion’s own message', async () => {
    const detail = 'chefer over 704 columns may take 9.1 GB at once; 8 GB are allowed';
    companionOf(() => new Response(JSON.stringify({ detail }), { status: 413 }));
    const request = { method: 'chefer', ...(await answerOf()), tokenIndices: [5, 1] } as const;
    await expect(eventsOf(explainerOf().explain(request, never))).rejects.toThrow(detail);
    const strict = { ...model, limits: { ...model.limits, imagePixels: 100 } };
    await expect(eventsOf(explainerOf(strict).explain(request, never))).rejects.toThrow(
      /gradient.png has \d+ pixels \(\d+ × \d+\); the companion accepts at most 100/,
    );
  });

  it('are not requested if they are not offered', async () => {
    const sent = companionOf();
    const answer = await answerOf();
    const ask = (method: MethodId, connected: CompanionModel | undefined = model) =>
      eventsOf(explainerOf(connected).explain({ method, ...answer, tokenIndices: [0] }, never));
    await expect(ask('gradcam')).rejects.toThrow('This companion does not offer GradCAM, attention.');
    await expect(ask('chefer', { ...model, name: 'another' })).rejects.toThrow('the companion serves another');
    await expect(ask('fastrm')).rejects.toThrow('FastRM maps come with the answer');
    expect(sent).toEqual([]);
  });
});

function largestDifference(actual: Float32Array, expected: Float32Array): number {
  expect(actual).toHaveLength(expected.length);
  return actual.reduce((max, value, i) => Math.max(max, Math.abs(value - expected[i]!)), 0);
}
