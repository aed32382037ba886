import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RecordBatch, Schema, Table, tableFromIPC, tableToIPC } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { parseExplainStream, type WantedExplanation } from './explain-stream';
import type { ExplainEvent } from './run';
import { parseUnembedding } from './unembedding';

// Off a companion's socket: companion/tests/makers/explanation_fixture.py; companion/tests/server/test_explain.py holds
// them to what it says now.
const fixture = (name: string) => new Uint8Array(readFileSync(join(import.meta.dirname, 'fixtures', name)));
const chefer = fixture('chefer.explanation'); // queued 0, check, maps of tokens 5 and 1, end
const wanted: WantedExplanation = {
  method: 'chefer',
  model: { name: 'random-weights', revision: '94c0b4d387c2' },
  tokenIndices: [5, 1],
  patches: 16,
};

async function read(bytes: Uint8Array, change: Partial<WantedExplanation> = {}) {
  const events: ExplainEvent[] = [];
  let error: Error | undefined;
  try {
    for await (const event of parseExplainStream(bytes, { ...wanted, ...change })) events.push(event);
  } catch (thrown) {
    error = thrown as Error;
  }
  return { events, error, types: events.map(({ type }) => type) };
}

/** The stream's rows in another order or fewer of them, perhaps with another header. */
function rearranged(choose: (rows: readonly RecordBatch[]) => readonly (RecordBatch | undefined)[], header?: object) {
  const { schema, batches } = tableFromIPC(chefer);
  const metadata = new Map(schema.metadata);
  if (header) {
    const found = JSON.parse(metadata.get('patchlight.explain') ?? '');
    metadata.set('patchlight.explain', JSON.stringify({ ...found, ...header }));
  }
  return tableToIPC(new Table(new Schema(schema.fields, metadata), choose(batches) as RecordBatch[]), 'stream');
}

describe('an explanation', () => {
  it('is the check, the maps as they were done, and what they took', async () => {
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
    // As companion/tests read it: chefer's first patch of token 5.
    expect(maps[0]!.values[0]).toBeCloseTo(0.00022032, 7);
    expect(events.at(-1)).toMatchObject({
      reason: 'done',
      cost: { tokens: 2, forwardPasses: 1, backwardPasses: 2, peakBytes: expect.any(Number) },
    });
  });

  it('has a grounding in place of text where the method gives that', async () => {
    const { events } = await read(fixture('dex-ar.explanation'), { method: 'dex-ar' });
    const maps = events.flatMap((event) => (event.type === 'map' ? [event.map] : []));
    expect(maps.map(({ grounding, text }) => [grounding, text])).toEqual([
      [0, undefined],
      [0, undefined],
    ]);
  });

  it('keeps the maps that came where it breaks off', async () => {
    const { types, error } = await read(rearranged(([queued, check, first]) => [queued, check, first]));
    expect(types).toEqual(['check', 'map']);
    expect(error?.message).toBe('The explanation breaks off after 1 of 2 tokens: its end row is missing');
    const cut = await read(chefer.slice(0, Math.floor(chefer.length * 0.75)));
    expect(cut.types).toEqual(['check', 'map']);
    expect(cut.error?.message).toMatch(/^The explanation breaks off after 1 of 2 tokens: /);
  });

  it.each<[string, Partial<WantedExplanation>, string]>([
    ['another method', { method: 'gradcam' }, 'method chefer, not gradcam'],
    [
      'another model',
      { model: { ...wanted.model, revision: 'ab' } },
      'model random-weights 94c0b4d387c2, not random-weights ab',
    ],
    ['other tokens', { tokenIndices: [5] }, 'tokens 5,1, not 5'],
    ['another picture', { patches: 9 }, 'patches 16, not 9'],
  ])('is refused where it is of %s', async (_case, change, reason) => {
    const { events, error } = await read(chefer, change);
    expect(events).toEqual([]);
    expect(error?.message).toBe(`Another explanation came than was asked for: ${reason}`);
  });

  it.each<[string, Uint8Array, string]>([
    ['a run', fixture('random-weights.run'), 'its metadata has no patchlight.explain'],
    ['no Arrow stream', new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]), 'This is not an explanation'],
    [
      'of another version',
      rearranged((rows) => rows, { formatVersion: 2 }),
      'format version 2; this page reads version 1',
    ],
    [
      'of maps in another order',
      rearranged(([q, c, a, b, e]) => [q, c, b, a, e]),
      'token 1 comes where token 5 is due',
    ],
    ['of a map that comes twice', rearranged(([q, c, a, b]) => [q, c, a, b, b]), 'token 1 comes where the end is due'],
    ['of rows in another order', rearranged(([q, c, a]) => [q, a, c]), 'kind check comes after one of kind map'],
    ['done before its maps', rearranged(([q, c, a, , e]) => [q, c, a, e]), 'ends after 1 of 2 tokens'],
    ['of longer prompts', rearranged((rows) => rows, { promptTokens: 13 }), '12 numbers, want 13'],
  ])('is refused where it is %s', async (_case, bytes, reason) => {
    const { error } = await read(bytes);
    expect(error?.message).toContain(reason);
  });
});

describe('rows of the vocabulary layer', () => {
  const rows = fixture('vocabulary.rows');

  it('are floats of the hidden size by their ids', async () => {
    const found = await parseUnembedding(rows, { ids: [38, 34], hiddenSize: 32 });
    expect(found.model).toEqual(wanted.model);
    expect(found.rows.get(38)).toHaveLength(32);
    expect(found.rows.get(38)).not.toEqual(found.rows.get(34));
  });

  it('are refused where one is missing or of another size', async () => {
    await expect(parseUnembedding(rows, { ids: [38, 37], hiddenSize: 32 })).rejects.toThrow('token 37 is missing');
    await expect(parseUnembedding(rows, { ids: [38], hiddenSize: 64 })).rejects.toThrow(
      'reads states of size 32, these are of 64',
    );
  });
});
