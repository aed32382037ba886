import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  Field,
  Float32,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableFromIPC,
  tableToIPC,
  vectorFromArray,
} from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { imagesOf } from './run';
import { openRunRows, type RunRow } from './run-rows';

const fixture = (name: string) => new Uint8Array(readFileSync(join(import.meta.dirname, 'fixtures', name)));
// Made-up numbers, written by companion/tests/makers/run_fixture.py and also read by companion/tests/wire/test_run.py.
const live = fixture('live-stream.run');

async function rowsOf(bytes: Uint8Array): Promise<RunRow[]> {
  const rows: RunRow[] = [];
  for await (const row of (await openRunRows(bytes)).rows) rows.push(row);
  return rows;
}

/** Returns the stream with row batches moved or removed. */
function rearranged(bytes: Uint8Array, choose: (batches: readonly RecordBatch[]) => RecordBatch[]): Uint8Array {
  const { schema, batches } = tableFromIPC(bytes);
  return tableToIPC(new Table(schema, choose(batches)), 'stream');
}

describe("a companion's run stream", () => {
  it('starts with the header: two frames, no head, sampling parameters', async () => {
    const { header } = await openRunRows(live);
    expect(header).toMatchObject({
      formatVersion: 2,
      question: 'Is it ¿déjà vu?',
      head: undefined,
      model: { family: 'LLaVA-NeXT', dtype: 'bfloat16', hiddenSize: 4 },
      sampling: { maxNewTokens: 8, temperature: 0.7, topP: 0.9, seed: 7 },
      image: { name: 'wide.jpg', sha256: 'ab'.repeat(32) },
    });
    expect(header.geometry.frames.map(({ name, grid }) => [name, grid.rows, grid.cols])).toEqual([
      ['detail', 2, 3],
      ['overview', 1, 2],
    ]);
    expect(header.geometry.frames[0].crop, 'reaches past the image').toEqual({
      xPx: 0,
      yPx: -2,
      widthPx: 30,
      heightPx: 20,
    });
  });

  it('yields the place in the queue, then the states with their shapes, then the tokens', async () => {
    const rows = await rowsOf(live);
    expect(rows.map(({ kind }) => kind)).toEqual([
      ...['queued', 'queued', 'queued', 'states', 'prompt', 'token', 'token', 'end'],
    ]);
    expect(rows.slice(0, 3).map((row) => row.kind === 'queued' && row.place)).toEqual([2, 1, 0]);
    expect(rows[3]).toMatchObject({ states: { rows: 8, cols: 4 } });
    expect(rows.at(-1)).toEqual({
      kind: 'end',
      end: {
        reason: 'failed',
        answerMs: 12.5,
        firstTokenMs: 4.25,
        message: "the model's hidden states are not finite: 3 of 4 values",
      },
    });
  });

  it('yields states as fp16 bits, or as float32 if they exceed the fp16 range', async () => {
    const [states, prompt, first, second] = (await rowsOf(live)).slice(3);
    if (states?.kind !== 'states' || prompt?.kind !== 'prompt') throw new Error('unexpected rows');
    if (first?.kind !== 'token' || second?.kind !== 'token') throw new Error('unexpected rows');
    expect(states.states.values).toBeInstanceOf(Uint16Array);
    expect(states.states.values[31], '31/8 in fp16').toBe(0x43c0);
    expect(prompt.tokens).toEqual([
      { tokenId: 1, text: '<s>' },
      { tokenId: 9, text: ' Is' },
    ]);
    expect(prompt.states).toMatchObject({ rows: 2, cols: 4 });
    expect(prompt.states.values[7]).toBe(70000 + 7 / 8);
    expect([...first.queryState.values], '12/8 to 15/8 in fp16').toEqual([0x3e00, 0x3e80, 0x3f00, 0x3f80]);
    expect([...second.queryState.values]).toEqual([-98304, -106496, -114688, -122880]);
    expect(first.token).toMatchObject({ text: 'Nön', alternatives: [{ text: 'Nön' }, { text: '</s>', logProb: -1 }] });
    expect(first.map).toBeUndefined();
  });

  it('yields the unembedding rows of the tokens, in fp16 or float32 as states', async () => {
    const [, prompt, first, second] = (await rowsOf(live)).slice(3);
    if (prompt?.kind !== 'prompt' || first?.kind !== 'token' || second?.kind !== 'token') throw new Error('unexpected');
    expect(prompt.unembedding).toMatchObject({ rows: 2, cols: 4 });
    expect([...prompt.unembedding!.values].at(0), '-16/8 in fp16').toBe(0xc000);
    expect([...first.unembedding!.values], '-24/8 to -27/8 in fp16').toEqual([0xc200, 0xc240, 0xc280, 0xc2c0]);
    expect([...second.unembedding!.values]).toEqual([-229376, -237568, -245760, -253952]);
  });

  it('yields no unembedding rows if the stream has none', async () => {
    const rows = await rowsOf(fixture('random-weights.run'));
    const of = rows.flatMap((row) => (row.kind === 'prompt' || row.kind === 'token' ? [row.unembedding] : []));
    expect(of).toEqual(Array.from({ length: 7 }, () => undefined));
  });

  it('refuses unembedding rows of another size than the states', async () => {
    const { schema, batches } = tableFromIPC(live);
    const at = schema.fields.findIndex(({ name }) => name === 'unembedding');
    const other = schema.fields.findIndex(({ name }) => name === 'states');
    // The image's states in the place of the prompt's rows.
    const columns = batches[3]!.getChildAt(other)!;
    const changed = batches.map((batch, i) => (i === 4 ? batch.setChildAt(at, columns) : batch));
    await expect(rowsOf(tableToIPC(new Table(schema, changed), 'stream'))).rejects.toThrow(
      'Unembedding of the prompt: expected 8 values as in the header, got 32',
    );
  });
});

// Made-up numbers, too: an image of one frame, and one of two.
const two = fixture('two-images.run');

describe('a run of two images', () => {
  it('has both images in its header, and each frame has the index of its image', async () => {
    const { header } = await openRunRows(two);
    expect(imagesOf(header).map(({ name }) => name)).toEqual(['before.png', 'after.png']);
    expect(header.images?.map(({ widthPx, heightPx }) => [widthPx, heightPx])).toEqual([
      [12, 8],
      [6, 10],
    ]);
    expect(header.geometry.frames.map(({ name, image = 0, grid }) => [name, image, grid.rows, grid.cols])).toEqual([
      ['image', 0, 2, 2],
      ['detail', 1, 2, 1],
      ['overview', 1, 1, 1],
    ]);
  });

  it('yields the images in order, then the states of all patches and the maps over them', async () => {
    const rows = await rowsOf(two);
    expect(rows.map(({ kind }) => kind)).toEqual(['image', 'image', 'states', 'prompt', 'token', 'token', 'end']);
    expect(rows[2]).toMatchObject({ states: { rows: 7, cols: 4 } });
    const maps = rows.flatMap((row) => (row.kind === 'token' ? [row.map?.values] : []));
    expect(maps).toEqual([
      Float32Array.of(0.125, 0.25, 0.125, 0.75, 0, 0.25, 0.5),
      Float32Array.of(0, 0.125, 0, 0.25, 0.25, 0.875, 0.5),
    ]);
  });

  it.each([
    ['too few', (b: readonly RecordBatch[]) => [b[0]!, ...b.slice(2)], 'Expected 2 images as in the header, got 1'],
    ['too many', (b: readonly RecordBatch[]) => [b[0]!, ...b], 'Expected 2 images as in the header, got 3'],
  ])('is refused if it has %s images', async (_name, choose, message) => {
    await expect(rowsOf(rearranged(two, choose))).rejects.toThrow(message);
  });

  it('may leave out all images, as a stream does', async () => {
    const rows = await rowsOf(rearranged(two, (batches) => batches.slice(2)));
    expect(rows[0]?.kind).toBe('states');
  });
});

const recorded = fixture('random-weights.run');

/** The recorded run with a further column of its tokens; `valuesOf` gives a token's values. */
function withColumn(name: string, valuesOf: (token: number) => number[] | null): Uint8Array {
  const { schema, batches } = tableFromIPC(recorded);
  const type = new List(new Field('item', new Float32()));
  const fields = [...schema.fields, new Field(name, type, true)];
  const wider = batches.map((batch) => {
    const isToken = batch.getChild('kind')?.get(0) === 'token';
    const cell = isToken ? valuesOf(batch.getChild('index')?.get(0)) : null;
    const children = [...batch.data.children, vectorFromArray([cell], type).data[0]!];
    return new RecordBatch(new Schema(fields), makeData({ type: new Struct(fields), length: 1, children }));
  });
  return tableToIPC(new Table(new Schema(fields, schema.metadata), wider), 'stream');
}

describe('attention logits', () => {
  const logits = (token: number, count = 16) => Array.from({ length: count }, (_, at) => token - at / 4);
  const logitsOf = async (bytes: Uint8Array) =>
    (await rowsOf(bytes)).flatMap((row) => (row.kind === 'token' ? [row.attentionLogits] : []));

  it('have one number per patch, and are absent from runs without the column', async () => {
    expect(await logitsOf(recorded)).toEqual(new Array(6).fill(undefined));
    const read = await logitsOf(withColumn('attentionLogits', (token) => logits(token)));
    expect(read).toEqual([0, 1, 2, 3, 4, 5].map((token) => Float32Array.from(logits(token))));
  });

  it.each([
    ['another length than the image', logits(1, 15), 'expected 16 values as in the header, got 15'],
    ['values that are not finite', logits(1).fill(Number.NEGATIVE_INFINITY, 3, 4), 'expected finite numbers'],
  ])('are refused with %s', async (_name, values, message) => {
    const bytes = withColumn('attentionLogits', (token) => (token === 1 ? values : logits(token)));
    await expect(rowsOf(bytes)).rejects.toThrow(`Attention logits of token 1: ${message}`);
  });
});

describe('maps over the words of the prompt', () => {
  const promptLength = 12;
  const words = (token: number, count = promptLength) => Array.from({ length: count }, (_, at) => (token + at) / 32);
  const withWords = (valuesOf: (token: number) => number[] | null) => withColumn('mapPrompt', valuesOf);
  const mapsOf = async (bytes: Uint8Array) =>
    (await rowsOf(bytes)).flatMap((row) => (row.kind === 'token' ? [row.map] : []));

  it('have one probability per token of the prompt, and none for the answer', async () => {
    const maps = await mapsOf(withWords((token) => words(token)));
    expect(maps.map((map) => [...map!.text!.prompt])).toEqual([0, 1, 2, 3, 4, 5].map((token) => words(token)));
    expect(maps.every((map) => map!.text!.answer.length === 0)).toBe(true);
    expect(maps.map((map) => map!.values)).toEqual((await mapsOf(recorded)).map((map) => map!.values));
  });

  it('are absent if the run has no such column, or a token no value in it', async () => {
    expect((await mapsOf(recorded)).map((map) => map!.text)).toEqual(Array.from({ length: 6 }, () => undefined));
    const some = await mapsOf(withWords((token) => (token === 2 ? words(2) : null)));
    expect(some.map((map) => map!.text?.prompt.length)).toEqual([
      undefined,
      undefined,
      12,
      ...Array(3).fill(undefined),
    ]);
  });

  it.each([
    ['another length than the prompt', words(1, 11), 'expected 12 values as in the prompt, got 11'],
    ['values above 1', words(30), 'expected probabilities, got 1.03125'],
    ['values that are not finite', words(1).fill(Number.NaN, 3, 4), 'expected probabilities, got NaN'],
  ])('are refused with %s', async (_name, values, message) => {
    const bytes = withWords((token) => (token === 1 ? values : words(token)));
    await expect(rowsOf(bytes)).rejects.toThrow(`Map of token 1 over the prompt: ${message}`);
  });
});

describe('rows out of order', () => {
  it.each([
    ['tokens before the states', (b: readonly RecordBatch[]) => [b[5]!, b[3]!], "comes before the image's states"],
    ['a queue after the states', (b: readonly RecordBatch[]) => [b[3]!, b[0]!], 'kind queued cannot follow one of'],
    ['states twice', (b: readonly RecordBatch[]) => [b[3]!, b[3]!], 'kind states cannot follow one of kind states'],
    ['a token left out', (b: readonly RecordBatch[]) => [b[3]!, b[6]!], 'Expected token 0, got token 1'],
  ])('are rejected by name: %s', async (_name, choose, message) => {
    await expect(rowsOf(rearranged(live, choose))).rejects.toThrow(message);
  });

  it('may end at any point', async () => {
    const rows = await rowsOf(rearranged(live, (batches) => [batches[0]!, batches[7]!]));
    expect(rows.map(({ kind }) => kind)).toEqual(['queued', 'end']);
  });

  it('are broken, not invalid, if they only stop early', async () => {
    const rows = await rowsOf(rearranged(live, (batches) => batches.slice(0, 6)));
    expect(rows.at(-1)).toEqual({ kind: 'broken', why: 'its end row is missing' });
  });
});
