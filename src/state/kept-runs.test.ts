import 'fake-indexeddb/auto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RunEvent } from '../contract/run';
import { exampleHeader } from '../contract/run.example';
import { useChoices } from './choices';
import { askBeforeLeaving, createKeptRuns, type KeptRunsOptions, useKeeping } from './kept-runs';
import { createRunLibrary, type RunLibrary } from './run-library';
import { openVisitStore } from './visit-store';

const token = (index: number): RunEvent => ({
  type: 'token',
  token: { index, tokenId: index, text: ` t${index}`, word: index, logProb: -0.5, alternatives: [] },
});
const mapOf = (tokenIndex: number, method: 'fastrm' | 'chefer'): RunEvent => ({
  type: 'map',
  map: { method, tokenIndex, values: Float32Array.of(0.1, 0.2, 0.3, 0.4, 0.5, 0.6), backend: 'wasm', computeMs: 1 },
});
const end: RunEvent = { type: 'end', end: { reason: 'stop', answerMs: 5, firstTokenMs: 2 } };

function answer(library: RunLibrary, id: string, events: readonly RunEvent[], bytes = 3) {
  const image = { ...exampleHeader.image, bytes: new Uint8Array(bytes).fill(7), sha256: `of ${bytes} bytes` };
  const record = library.begin({ ...exampleHeader, id, image });
  for (const event of events) record.append(event);
  return record;
}

/** The storage of one tab, which a reload keeps. */
function createTab(): Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}

const stops: (() => void)[] = [];

/** Loads a page in the tab. */
async function load(tab: KeptRunsOptions['tab'], options: Partial<KeptRunsOptions> = {}) {
  for (const stop of stops.splice(0)) stop();
  useChoices.setState(useChoices.getInitialState());
  const library = createRunLibrary();
  const kept = createKeptRuns({ library, tab, openStore: openVisitStore, isReturning: true, ...options });
  stops.push(kept.destroy);
  await kept.ready;
  return library;
}

const settled = () => vi.waitFor(() => expect(useKeeping.getState().isStoring).toBe(false));

describe('keeping the runs of a visit', () => {
  beforeEach(() => {
    vi.stubGlobal('document', { visibilityState: 'hidden' });
  });
  afterEach(() => {
    for (const stop of stops.splice(0)) stop();
    vi.unstubAllGlobals();
  });

  it('restores answers with their image and all maps, in order, and the one that was on screen', async () => {
    const tab = createTab();
    const before = await load(tab);
    answer(before, 'b', [
      { type: 'prompt', tokens: [{ tokenId: 1, text: 'What' }] },
      token(0),
      mapOf(0, 'fastrm'),
      end,
    ]);
    await settled();
    const second = answer(before, 'a', [token(0), token(1), end]);
    useChoices.getState().showRun('a');
    await settled();
    second.append(mapOf(1, 'chefer'));
    await vi.waitFor(() => expect(useKeeping.getState().isStoring).toBe(true));
    await settled();
    const expected = before.list().map((record) => record.snapshot());

    const after = await load(tab);
    expect(after.list().map(({ id }) => id)).toEqual(['b', 'a']);
    for (const [i, record] of after.list().entries()) {
      const { mapOf: restored, ...run } = record.snapshot();
      const { mapOf: kept, ...whole } = expected[i]!;
      expect(run).toEqual(whole);
      expect(restored(0)).toEqual(kept(0));
      expect(restored(1, 'chefer')).toEqual(kept(1, 'chefer'));
    }
    expect(after.get('a')?.snapshot().mapOf(1, 'chefer')?.values).toHaveLength(6);
    expect(useChoices.getState().runId).toBe('a');
  });

  it('restores the states that other heads read, and counts their bytes', async () => {
    const states = (values: number) => ({ values: new Float32Array(values), rows: values / 4, cols: 4 });
    const withStates = (index: number): RunEvent => ({
      ...(token(index) as Extract<RunEvent, { type: 'token' }>),
      states: { query: states(4), attentionLogits: Float32Array.of(1, 2, 3, 4, 5, 6) },
    });
    const events: RunEvent[] = [{ type: 'patch-states', states: states(24) }, withStates(0), withStates(1), end];
    const tab = createTab();
    answer(await load(tab), 'a', events);
    await settled();
    const run = (await load(tab)).get('a')?.snapshot();
    expect(run?.states?.patches).toEqual(states(24));
    expect(run?.states?.tokens.map(({ attentionLogits }) => attentionLogits?.[5])).toEqual([6, 6]);

    answer(await load(createTab(), { limitBytes: 4000 }), 'b', [token(0), token(1), end]);
    await settled();
    expect(useKeeping.getState().unkept).toBe(0);
    const large: RunEvent = { type: 'patch-states', states: states(400) };
    answer(await load(createTab(), { limitBytes: 4000 }), 'c', [large, withStates(0), withStates(1), end]);
    await settled();
    expect(useKeeping.getState().unkept).toBe(1);
  });

  it('does not return to an answer if a link leads elsewhere, or if an example was on screen', async () => {
    const tab = createTab();
    const before = await load(tab);
    answer(before, 'a', [token(0), end]);
    useChoices.getState().showRun('a');
    await settled();
    expect((await load(tab, { isReturning: false })).get('a')).toBeDefined();
    expect(useChoices.getState().runId).toBeUndefined();

    const library = await load(tab);
    expect(useChoices.getState().runId).toBe('a');
    library.begin({ ...exampleHeader, id: 'example', recorded: true });
    useChoices.getState().showRun('example');
    const again = await load(tab);
    expect(again.list().map(({ id }) => id)).toEqual(['a']);
    expect(useChoices.getState().runId).toBeUndefined();
  });

  it('keeps an answer that was being written, as partial', async () => {
    const tab = createTab();
    const before = await load(tab);
    answer(before, 'a', [token(0)]);
    await settled();
    const run = (await load(tab)).get('a')?.snapshot();
    expect(run?.tokens).toHaveLength(1);
    expect(run?.end).toMatchObject({ reason: 'truncated', message: 'the page was reloaded' });
  });

  it('restores nothing that the library has dropped, or in another tab', async () => {
    const tab = createTab();
    const before = await load(tab);
    answer(before, 'a', [end]);
    answer(before, 'b', [end]);
    await settled();
    before.drop('a');
    await vi.waitFor(() => expect(useKeeping.getState().isStoring).toBe(true));
    await settled();
    expect((await load(createTab())).list()).toEqual([]);
    expect((await load(tab)).list().map(({ id }) => id)).toEqual(['b']);
  });

  it('counts what does not fit, asks before leaving, and stops asking once it has been dropped', async () => {
    const target = new EventTarget();
    const isAsking = () => !target.dispatchEvent(new Event('beforeunload', { cancelable: true }));
    const tab = createTab();
    const library = await load(tab, { limitBytes: 10_000 });
    stops.push(askBeforeLeaving(target as unknown as Window));
    answer(library, 'small', [end], 3000);
    await settled();
    expect(useKeeping.getState().unkept).toBe(0);
    expect(isAsking()).toBe(false);
    answer(library, 'large', [end], 9000);
    await settled();
    expect(useKeeping.getState().unkept).toBe(1);
    expect(isAsking()).toBe(true);
    library.drop('large');
    await vi.waitFor(() => expect(useKeeping.getState().unkept).toBe(0));
    expect(isAsking()).toBe(false);
    expect((await load(tab)).list().map(({ id }) => id)).toEqual(['small']);
  });

  it('restores all images of a question, and drops an image with the last run that has it', async () => {
    const tab = createTab();
    const before = await load(tab);
    const [image, other] = [2, 4].map((size) => ({
      ...exampleHeader.image,
      bytes: new Uint8Array(size),
      sha256: `${size}`,
      name: `${size}.png`,
    }));
    const [frame] = exampleHeader.geometry.frames;
    const geometry = { ...exampleHeader.geometry, frames: [frame, { ...frame, image: 1 }] as const };
    const images = [image!, other!];
    before.begin({ ...exampleHeader, id: 'two', image: image!, images, geometry }).append(end);
    before.begin({ ...exampleHeader, id: 'one', image: image! }).append(end);
    await settled();

    const after = await load(tab);
    expect(after.get('two')?.snapshot().header).toMatchObject({ image, images, geometry });
    expect(after.get('two')?.imageUrls).toHaveLength(2);
    expect(after.get('one')?.snapshot().header.images).toBeUndefined();
    after.drop('two');
    await vi.waitFor(() => expect(useKeeping.getState().isStoring).toBe(true));
    await settled();
    const store = await openVisitStore(tab.getItem('patchlight.visit')!);
    expect(await store.hasImage('2')).toBe(true);
    await vi.waitFor(async () => expect(await store.hasImage('4')).toBe(false));
  });

  it('shares one image among runs', async () => {
    const library = await load(createTab(), { limitBytes: 10_000 });
    answer(library, 'a', [end], 5000);
    answer(library, 'b', [end], 5000);
    await settled();
    expect(useKeeping.getState().unkept).toBe(0);
  });

  it.each([
    ['no database', createTab(), () => Promise.reject(new Error('blocked'))],
    ['no storage of the tab', undefined, openVisitStore],
  ])('counts every own answer if there is %s', async (_, tab, openStore) => {
    const library = await load(tab, { openStore });
    answer(library, 'a', [end]);
    library.begin({ ...exampleHeader, id: 'example', recorded: true });
    await settled();
    expect(useKeeping.getState().unkept).toBe(1);
  });
});
