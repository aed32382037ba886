import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Schema, Table, tableFromArrays, tableFromIPC, tableToIPC } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { imagesOf, type StoredRunEvent } from './run';
import { parseRunStream } from './run-stream';
import { sha256Hex } from './sha256';

// Written by companion/tests/makers/run_fixture.py; companion/tests/wire/test_run.py reads the same numbers from it.
const fixture = new Uint8Array(readFileSync(join(import.meta.dirname, 'fixtures', 'random-weights.run')));

async function collect(bytes: AsyncIterable<Uint8Array> | Uint8Array): Promise<StoredRunEvent[]> {
  const events: StoredRunEvent[] = [];
  for await (const event of parseRunStream(bytes)) events.push(event);
  return events;
}

async function* inChunks(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

function tokens(events: readonly StoredRunEvent[]) {
  return events.flatMap((event) => (event.type === 'token' ? [event.token] : []));
}

function maps(events: readonly StoredRunEvent[]) {
  return events.flatMap((event) => (event.type === 'map' ? [event.map] : []));
}

/** The fixture with a changed header. */
function withHeader(change: (header: Record<string, unknown>) => unknown): Uint8Array {
  const table = tableFromIPC(fixture);
  const header: Record<string, unknown> = JSON.parse(table.schema.metadata.get('patchlight.run') ?? '');
  const metadata = new Map([['patchlight.run', JSON.stringify(change(header))]]);
  const schema = new Schema(table.schema.fields, metadata);
  return tableToIPC(new Table(schema, table.batches), 'stream');
}

describe('a run written by the companion', () => {
  it('yields its header, tokens, maps and end with exact numbers', async () => {
    const events = await collect(fixture);
    expect(events.map((event) => event.type)).toEqual([
      'begin',
      'patch-states',
      'prompt',
      ...Array.from({ length: 6 }, () => ['token', 'map']).flat(),
      'end',
    ]);
    const [begin, , prompt] = events;
    if (begin?.type !== 'begin' || prompt?.type !== 'prompt') throw new Error('no begin');
    expect(prompt.tokens.map(({ text }) => text).join('')).toContain(begin.header.question);
    expect(begin.header).toMatchObject({
      formatVersion: 2,
      id: 'a07afe8a2c3f',
      question: 'What color is the large sphere?',
      recorded: true,
      model: { name: 'random-weights', hiddenSize: 32, stage: 'post_norm', family: 'LLaVA-1.5', dtype: 'float32' },
      head: { name: 'random-weights-head', teacher: 'none: random weights', labellingThreshold: 0.3 },
      geometry: { sourceWidthPx: 40, sourceHeightPx: 24, frames: [{ name: 'image', grid: { rows: 4, cols: 4 } }] },
      sampling: { maxNewTokens: 6, temperature: 0, topP: 1, seed: 0 },
    });
    expect(begin.header.geometry.frames[0].crop.xPx).toBe(7.741935483870968);
    expect(begin.header.image.mediaType).toBe('image/png');
    expect(begin.header.image.bytes).toHaveLength(104);
    expect([...begin.header.image.bytes.slice(0, 4)]).toEqual([0x89, 0x50, 0x4e, 0x47]);

    const answer = tokens(events);
    expect(answer.map((token) => token.text).join('')).toBe('no sizes six picture next');
    expect(answer.map((token) => token.word)).toEqual([0, 1, 1, 2, 3, 4]);
    expect(answer.map((token) => token.tokenId)).toEqual([38, 34, 134, 109, 29, 79]);
    expect(answer[0]?.logProb).toBe(-1.324744462966919);
    expect(answer[1]?.alternatives.slice(0, 2)).toEqual([
      { tokenId: 34, text: ' size', logProb: -2.0235118865966797 },
      { tokenId: 12, text: ' the', logProb: -2.3920907974243164 },
    ]);

    const [first] = maps(events);
    expect(first).toMatchObject({ method: 'fastrm', tokenIndex: 0, backend: 'python', computeMs: 16.10462799999368 });
    expect(first?.values).toHaveLength(16);
    expect([...(first?.values.slice(0, 2) ?? [])]).toEqual([0.16621030867099762, 0.10815141350030899]);
    expect(events.at(-1)).toEqual({
      type: 'end',
      end: { reason: 'length', answerMs: 1194.0668039997036, firstTokenMs: 909.9999890004256 },
    });
  });

  it('keeps the states of patches and tokens, and says of which head the attention logits are', async () => {
    const events = await collect(fixture);
    const patches = events.find((event) => event.type === 'patch-states');
    expect(patches?.states).toMatchObject({ rows: 16, cols: 32 });
    const states = events.flatMap((event) => (event.type === 'token' ? [event.states] : []));
    expect(states.map((one) => [one?.query.rows, one?.query.cols, one?.attentionLogits])).toEqual(
      new Array(6).fill([1, 32, undefined]),
    );
    const attentionLogitsOf = { name: 'fastrm-plus', revision: 'ab' };
    const [begin] = await collect(withHeader((header) => ({ ...header, attentionLogitsOf })));
    expect(begin).toMatchObject({ header: { attentionLogitsOf } });
  });

  it('yields the same events however its bytes are chunked', async () => {
    expect(await collect(inChunks(fixture, 97))).toEqual(await collect(fixture));
  });

  it('yields a token before the bytes of the next one arrive', async () => {
    const limit = fixture.length * 0.6;
    let sent = 0;
    async function* slowly() {
      for await (const chunk of inChunks(fixture, 64)) {
        sent += chunk.length;
        yield chunk;
      }
    }
    for await (const event of parseRunStream(slowly())) {
      if (event.type === 'token') break;
    }
    expect(sent).toBeLessThan(limit);
  });
});

describe('a run that stops early', () => {
  it.each([0.35, 0.6, 0.85])('keeps what arrived, cut at %d of its bytes, and ends as truncated', async (share) => {
    const whole = await collect(fixture);
    const events = await collect(fixture.slice(0, Math.floor(share * fixture.length)));
    const end = events.pop();
    expect(events).toEqual(whole.slice(0, events.length));
    expect(tokens(events).length).toBeLessThan(6);
    if (end?.type !== 'end') throw new Error('no end');
    expect(end.end.reason).toBe('truncated');
    expect(end.end.message).toMatch(`The run was cut off after ${tokens(events).length} tokens`);
  });

  it('ends as truncated if only its end row is missing', async () => {
    const table = tableFromIPC(fixture);
    const events = await collect(tableToIPC(table.slice(0, table.numRows - 1), 'stream'));
    expect(events.at(-1)).toEqual({
      type: 'end',
      end: {
        reason: 'truncated',
        answerMs: 0,
        firstTokenMs: 0,
        message: 'The run was cut off after 6 tokens: its end row is missing',
      },
    });
  });

  it.each([
    [0, 'This is not a run: it has no schema'],
    [4000, 'This run was cut off before its image'],
  ])('throws if not even the image arrived, at %d bytes', async (length, message) => {
    await expect(collect(fixture.slice(0, length))).rejects.toThrow(message);
  });
});

describe('a run with an invalid row in the middle', () => {
  it('keeps the tokens before the row and says what is wrong', async () => {
    const table = tableFromIPC(fixture);
    // Tokens 0 and 1 of six, then token 0 again.
    const batches = [...table.batches.slice(0, 5), ...table.batches.slice(3, 4)];
    const events = await collect(tableToIPC(new Table(table.schema, batches), 'stream'));
    expect(tokens(events)).toHaveLength(2);
    expect(events.at(-1)).toEqual({
      type: 'end',
      end: { reason: 'failed', answerMs: 0, firstTokenMs: 0, message: 'Expected token 2, got token 0' },
    });
  });
});

describe('bytes that are not a valid run', () => {
  it('are rejected with both versions if theirs is not supported', async () => {
    const later = withHeader((header) => ({ ...header, formatVersion: 3 }));
    await expect(collect(later)).rejects.toThrow('This run has format version 3; this page supports version 2');
    const earlier = withHeader((header) => ({ ...header, formatVersion: 1 }));
    await expect(collect(earlier)).rejects.toThrow('This run has format version 1; this page supports version 2');
  });

  it('are rejected with the name of an invalid header field', async () => {
    const invalid = withHeader((header) => ({ ...header, question: 7 }));
    await expect(collect(invalid)).rejects.toThrow(/header cannot be read[\s\S]*question/);
  });

  it('are rejected if the head reads states of another stage than the model sends', async () => {
    const mixed = withHeader((header) => ({ ...header, head: { ...(header.head as object), stage: 'pre_norm' } }));
    await expect(collect(mixed)).rejects.toThrow("the head must read hidden states of the model's stage");
  });

  it('keep what the header says about the model that the head was trained on', async () => {
    const facts = { trainedOn: { name: 'other', revision: 'r9' }, match: 'other' };
    const forced = withHeader((header) => ({ ...header, head: { ...(header.head as object), ...facts } }));
    expect((await collect(forced))[0]).toMatchObject({ header: { head: facts } });
  });

  it('are rejected with both numbers if a row contradicts the header', async () => {
    const wide = withHeader((header) => ({ ...header, model: { ...(header.model as object), hiddenSize: 64 } }));
    await expect(collect(wide)).rejects.toThrow('Image states: expected 1024 values as in the header, got 512');
  });

  it('are rejected if two frames have the same name', async () => {
    const twice = withHeader((header) => {
      const geometry = header.geometry as { frames: unknown[] };
      return { ...header, geometry: { ...geometry, frames: [...geometry.frames, ...geometry.frames] } };
    });
    await expect(collect(twice)).rejects.toThrow(/frame names must be unique/);
  });

  it('are rejected if they are another Arrow stream', async () => {
    const other = tableToIPC(tableFromArrays({ x: [1, 2] }), 'stream');
    await expect(collect(other)).rejects.toThrow('not a run: its metadata has no patchlight.run');
  });

  it('are rejected if they are a text file', async () => {
    await expect(collect(new TextEncoder().encode('hello, this is not a run at all'))).rejects.toThrow('not a run');
  });

  it('rethrows an abort unchanged', async () => {
    async function* aborted() {
      yield fixture.slice(0, Math.floor(fixture.length * 0.6));
      throw new DOMException('stopped', 'AbortError');
    }
    await expect(collect(aborted())).rejects.toThrow('stopped');
  });
});

describe('the header of a run of two images', () => {
  const two = tableFromIPC(readFileSync(join(import.meta.dirname, 'fixtures', 'two-images.run')));
  const header = JSON.parse(two.schema.metadata.get('patchlight.run') ?? '');
  const changed = (change: Record<string, unknown>) => {
    const metadata = new Map([['patchlight.run', JSON.stringify({ ...header, ...change })]]);
    return tableToIPC(new Table(new Schema(two.schema.fields, metadata), two.batches), 'stream');
  };
  const frames = header.geometry.frames;
  const withFrames = (next: unknown[]) => ({ geometry: { ...header.geometry, frames: next } });

  it('begins once both images have arrived, with the bytes of each', async () => {
    const [begin] = await collect(changed({}));
    if (begin?.type !== 'begin') throw new Error('no begin');
    const digests = await Promise.all(imagesOf(begin.header).map(({ bytes }) => sha256Hex(bytes)));
    expect(digests).toEqual(header.images.map(({ sha256 }: { sha256: string }) => sha256));
    expect(begin.header.images?.[0]?.bytes).toBe(begin.header.image.bytes);
  });

  it('refuses a run that is cut off between its images', async () => {
    const first = tableToIPC(new Table(two.schema, two.batches.slice(0, 1)), 'stream');
    await expect(collect(first)).rejects.toThrow('This run was cut off before its image');
  });

  it.each([
    ['frames of an image that is missing', { images: undefined }, 'frames must be listed image by image'],
    ['an image without frames', withFrames(frames.slice(0, 1)), 'frames must be listed image by image'],
    ['frames of a later image first', withFrames([...frames].reverse()), 'frames must be listed image by image'],
    ['two frames of one name in an image', withFrames([...frames, frames[2]]), 'frame names must be unique per image'],
    ['another first image', { images: [...header.images].reverse() }, 'the first of the images must be the image'],
    ['a list of one image', { images: header.images.slice(0, 1) }, 'images'],
  ])('refuses %s', async (_name, change, message) => {
    await expect(collect(changed(change))).rejects.toThrow(message);
  });
});
