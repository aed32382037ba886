import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RecordBatch, Schema, Table, tableFromIPC, tableToIPC } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { type ExpectedExplanation, parseExplainStream } from './explain-stream';
import type { ExplainEvent } from './run';
import { parseUnembedding } from './unembedding';

// Fixtures recorded from a companion's socket by companion/tests/makers/explanation_fixture.py;
// companion/tests/wire/test_explanation.py compares them with the companion's current output.
const fixture = (name: string) => new Uint8Array(readFileSync(join(import.meta.dirname, 'fixtures', name)));
const chefer = fixture('chefer.explanation'); // queued 0, check, maps of tokens 5 and 1, end
const expected: ExpectedExplanation = {
  method: 'chefer',
  model: { name: 'random-weights', revision: '94c0b4d387c2' },
  tokenIndices: [5, 1],
  patches: 16,
};

async function read(bytes: Uint8Array, change: Partial<ExpectedExplanation> = {}) {
  const events: ExplainEvent[] = [];
  let error: Error | undefined;
  try {
    for await (const event of parseExplainStream(bytes, { ...expected, ...change })) events.push(event);
  } catch (thrown) {
    error = thrown as Error;
  }
  return { events, error, types: events.map(({ type }) => type) };
}

/** Returns the stream with rows moved or removed, and optionally with other header fields. */
function rearranged(choose: (rows: readonly RecordBatch[]) => readonly (RecordBatch | undefined)[], header?: object) {
  const { schema, batches } = tableFromIPC(chefer);
  const metadata = new Map(schema.metadata);
  if (header) {
    const original = JSON.parse(metadata.get('patchlight.explain') ?? '');
    metadata.set('patchlight.explain', JSON.stringify({ ...original, ...header }));
  }
  return tableToIPC(new Table(new Schema(schema.fields, metadata), choose(batches) as RecordBatch[]), 'stream');
}

describe('an explanation stream', () => {
  it('yields the check, the maps in the order they were made, and the cost', async () => {
    const { events, error, types } = await read(chefer);
    expect(error).toBeUndefined();
    expect(types).toEqual(['check', 'map', 'map', 'end']);
    expect(events[0]).toMatchObject({ check: { isSame: true } });
    const maps = events.flatMap((event) => (event.type === 'map' ? [event.map] : []));
    expect(maps.map(({ tokenIndex }) => tokenIndex)).toEqual([5, 1]);
    for (const map of maps) {
      expect(map).toMatchObject({ method: 'chefer', backend: 'python', computeMs: expect.any(Number) });
      expect([map.values.length, map.text?.prompt.length, map.text?.answer.length]).toEqual([16, 12, map.tokenIndex]);
      expect(map.grounding).toBeUndefined();
    }
    // Chefer's relevancy of the first patch for token 5, as in the fixture.
    expect(maps[0]!.values[0]).toBeCloseTo(0.00022032, 7);
    expect(events.at(-1)).toMatchObject({
      reason: 'done',
      cost: { tokens: 2, forwardPasses: 1, backwardPasses: 2, peakBytes: expect.any(Number) },
    });
  });

  it('has a grounding weight instead of text relevancy if the method is DEX-AR', async () => {
    const { events } = await read(fixture('dex-ar.explanation'), { method: 'dex-ar' });
    const maps = events.flatMap((event) => (event.type === 'map' ? [event.map] : []));
    expect(maps.map(({ grounding, text }) => [grounding, text])).toEqual([
      [0, undefined],
      [0, undefined],
    ]);
  });

  it('yields the maps received before it was cut off', async () => {
    const { types, error } = await read(rearranged(([queued, check, first]) => [queued, check, first]));
    expect(types).toEqual(['check', 'map']);
    expect(error?.message).toBe('The explanation was cut off after 1 of 2 tokens: its end row is missing');
    const cut = await read(chefer.slice(0, Math.floor(chefer.length * 0.75)));
    expect(cut.types).toEqual(['check', 'map']);
    expect(cut.error?.message).toMatch(/^The explanation was cut off after 1 of 2 tokens: /);
  });

  it.each<[string, Partial<ExpectedExplanation>, string]>([
    ['another method', { method: 'gradcam' }, 'expected method gradcam, got chefer'],
    [
      'another model',
      { model: { ...expected.model, revision: 'ab' } },
      'expected model random-weights ab, got random-weights 94c0b4d387c2',
    ],
    ['other tokens', { tokenIndices: [5] }, 'expected tokens 5, got 5,1'],
    ['another image', { patches: 9 }, 'expected patches 9, got 16'],
  ])('is rejected if it is for %s', async (_case, change, reason) => {
    const { events, error } = await read(chefer, change);
    expect(events).toEqual([]);
    expect(error?.message).toBe(`This explanation does not match the request: ${reason}`);
  });

  it.each<[string, Uint8Array, string]>([
    ['a run', fixture('random-weights.run'), 'its metadata has no patchlight.explain'],
    ['not an Arrow stream', new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]), 'This is not an explanation'],
    [
      'in an unsupported version',
      rearranged((rows) => rows, { formatVersion: 2 }),
      'format version 2; this page supports version 1',
    ],
    [
      'out of map order',
      rearranged(([q, c, a, b, e]) => [q, c, b, a, e]),
      'Expected the map of token 5, got the map of token 1',
    ],
    ['repeating a map', rearranged(([q, c, a, b]) => [q, c, a, b, b]), 'Expected the end row, got the map of token 1'],
    ['out of row order', rearranged(([q, c, a]) => [q, a, c]), 'kind check cannot follow one of kind map'],
    ['done before all maps', rearranged(([q, c, a, , e]) => [q, c, a, e]), 'ends after 1 of 2 tokens'],
    ['for a longer prompt', rearranged((rows) => rows, { promptTokens: 13 }), 'expected 13 values, got 12'],
  ])('is rejected if it is %s', async (_case, bytes, reason) => {
    const { error } = await read(bytes);
    expect(error?.message).toContain(reason);
  });
});

describe('unembedding rows', () => {
  const rows = fixture('vocabulary.rows');

  it('map each token id to floats of the hidden size', async () => {
    const unembedding = await parseUnembedding(rows, { ids: [38, 34], hiddenSize: 32 });
    expect(unembedding.model).toEqual(expected.model);
    expect(unembedding.rows.get(38)).toHaveLength(32);
    expect(unembedding.rows.get(38)).not.toEqual(unembedding.rows.get(34));
  });

  it('are rejected if one is missing or has another size', async () => {
    await expect(parseUnembedding(rows, { ids: [38, 37], hiddenSize: 32 })).rejects.toThrow('token 37 is missing');
    await expect(parseUnembedding(rows, { ids: [38], hiddenSize: 64 })).rejects.toThrow(
      'expected hidden size 64, got 32',
    );
  });
});
