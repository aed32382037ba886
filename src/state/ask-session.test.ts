import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RunEvent, RunHeader } from '../contract/run';
import { exampleHeader } from '../contract/run.example';
import type { RunSource, SourceStatus } from '../source/run-source';
import { createAskSession, useAsking } from './ask-session';
import { useChoices } from './choices';
import { useDraft } from './draft';
import { collectRun, createRunLibrary } from './run-library';

const picture = { blob: new Blob(), widthPx: 1, heightPx: 1 };
const image = { bytes: new Uint8Array([1]), mediaType: 'image/png', name: 'one.png', sha256: '', picture };
const text = 'what color is the cube ?';
const intake = { settled: async () => true, images: () => [image] };

function header(id: string): RunHeader {
  return { ...exampleHeader, id, question: text, image };
}

const token = (index: number): RunEvent => ({
  type: 'token',
  token: { index, tokenId: index, text: ` t${index}`, word: index, logProb: 0, alternatives: [] },
});
const end = (reason: 'stop' | 'cancelled' | 'failed', message?: string): RunEvent => ({
  type: 'end',
  end: { reason, answerMs: 1, firstTokenMs: 1, ...(message === undefined ? {} : { message }) },
});

/** A source that the test controls: what it yields and when it is ready. */
function sourceOf(ask: RunSource['ask'], status: SourceStatus = { phase: 'ready', backend: 'wasm' }) {
  let becomeReady = () => {};
  const ready = new Promise<void>((resolve) => {
    becomeReady = resolve;
  });
  return {
    becomeReady,
    source: {
      kind: 'embedded',
      opensWith: 'recorded-run',
      model: undefined,
      status,
      hints: { placeholder: '', suggestions: [] },
      subscribe: () => () => {},
      load: () => ready,
      checkQuestion: (text) => (text === '' ? { kind: 'empty' } : undefined),
      maxImages: 1,
      checkImage: async () => undefined,
      ask,
      offers: () => [],
      explain: () => {
        throw new Error('nothing to explain');
      },
    } satisfies RunSource,
  };
}

const idle = () => vi.waitFor(() => expect(useAsking.getState().asking.phase).toBe('idle'));

describe('asking', () => {
  beforeEach(() => {
    vi.stubGlobal('document', { visibilityState: 'hidden' });
    useChoices.setState(useChoices.getInitialState());
    useDraft.setState(useDraft.getInitialState());
  });
  afterEach(() => vi.unstubAllGlobals());

  it('shows the run as soon as it begins, and keeps it', async () => {
    const library = createRunLibrary();
    const { source } = sourceOf(async function* () {
      yield { type: 'begin', header: header('a') };
      yield token(0);
      yield end('stop');
    });
    createAskSession(source, library, intake).ask(text);
    await idle();
    expect(useChoices.getState().runId).toBe('a');
    expect(library.get('a')?.snapshot()).toMatchObject({ tokens: [{ text: ' t0' }], end: { reason: 'stop' } });
  });

  it('holds a question back until the model is loaded', async () => {
    const library = createRunLibrary();
    const ask = vi.fn(async function* (): AsyncIterable<RunEvent> {
      yield { type: 'begin', header: header('a') };
      yield end('stop');
    });
    const { source, becomeReady } = sourceOf(ask, {
      phase: 'loading',
      loadedBytes: 1,
      totalBytes: 2,
      what: 'decoder',
    });
    createAskSession(source, library, intake).ask(text);
    await vi.waitFor(() => expect(useAsking.getState().asking).toEqual({ phase: 'queued', text, until: 'model' }));
    expect(ask).not.toHaveBeenCalled();
    becomeReady();
    await idle();
    expect(ask).toHaveBeenCalledOnce();
  });

  it('loads the model first if the image that the page opens with depends on it', async () => {
    const ask = vi.fn(async function* (): AsyncIterable<RunEvent> {
      yield { type: 'begin', header: header('a') };
      yield end('stop');
    });
    const { source, becomeReady } = sourceOf(ask, { phase: 'failed', reason: 'no connection' });
    let opened: typeof image | undefined;
    createAskSession({ ...source, opensWith: 'image' }, createRunLibrary(), {
      settled: async () => true,
      images: () => (opened ? [opened] : []),
    }).ask(text);
    await vi.waitFor(() => expect(useAsking.getState().asking).toEqual({ phase: 'queued', text, until: 'model' }));
    opened = image;
    becomeReady();
    await idle();
    expect(ask).toHaveBeenCalledOnce();
    expect(useDraft.getState().problem).toBeUndefined();
  });

  it('waits in the queue while the answer on screen stays, and reports how many are ahead', async () => {
    const library = createRunLibrary();
    useChoices.getState().showRun('former');
    const places: number[] = [];
    const stop = useAsking.subscribe(({ asking }) => {
      if (asking.phase !== 'queued' || asking.until !== 'turn') return;
      places.push(asking.before);
      expect(useChoices.getState().runId).toBe('former');
    });
    const { source } = sourceOf(async function* () {
      yield { type: 'queued', before: 2 };
      yield { type: 'queued', before: 1 };
      yield { type: 'begin', header: header('a') };
      yield end('stop');
    });
    createAskSession(source, library, intake).ask(text);
    await idle();
    stop();
    expect(places).toEqual([2, 1]);
    expect(useChoices.getState().runId).toBe('a');
  });

  it('asks about the image that is still being read, not the previous one', async () => {
    let isRead = (_isUsable: boolean) => {};
    let current = image;
    const settled = new Promise<boolean>((resolve) => {
      isRead = resolve;
    });
    const ask = vi.fn(async function* (): AsyncIterable<RunEvent> {
      yield { type: 'begin', header: header('a') };
      yield end('stop');
    });
    const { source } = sourceOf(ask);
    createAskSession(source, createRunLibrary(), { settled: () => settled, images: () => [current] }).ask(text);
    expect(useAsking.getState().asking).toEqual({ phase: 'queued', text, until: 'image' });
    current = { ...image, name: 'two.png' };
    isRead(true);
    await idle();
    expect(ask).toHaveBeenCalledExactlyOnceWith({ image: current, text }, expect.anything());
  });

  it('asks nothing when the image chosen for it cannot be used', async () => {
    const ask = vi.fn();
    const { source } = sourceOf(ask);
    createAskSession(source, createRunLibrary(), { ...intake, settled: async () => false }).ask(text);
    await idle();
    expect(ask).not.toHaveBeenCalled();
  });

  it('reports a problem when there is no image', async () => {
    const { source } = sourceOf(vi.fn());
    createAskSession(source, createRunLibrary(), { ...intake, images: () => [] }).ask(text);
    await idle();
    expect(useDraft.getState().problem).toEqual({ kind: 'image', reason: 'Choose an image first.' });
  });

  it('keeps an image chosen before the previous answer began', async () => {
    let begin = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const { source } = sourceOf(async function* () {
      await begun;
      yield { type: 'begin', header: header('a') };
      yield end('stop');
    });
    createAskSession(source, createRunLibrary(), intake).ask(text);
    await vi.waitFor(() => expect(useAsking.getState().asking.phase).toBe('answering'));
    const chosen = { id: 'image-2', url: '', name: 'two.png', sha256: '', alt: '', widthPx: 1, heightPx: 1 };
    useDraft.getState().setImage(chosen);
    begin();
    await idle();
    expect(useDraft.getState().image).toEqual(chosen);
  });

  it('drops a question that is stopped while the model loads', async () => {
    const ask = vi.fn();
    const { source } = sourceOf(ask, { phase: 'idle' });
    const session = createAskSession(source, createRunLibrary(), intake);
    session.ask(text);
    await vi.waitFor(() => expect(useAsking.getState().asking).toMatchObject({ until: 'model' }));
    session.stop();
    await idle();
    expect(ask).not.toHaveBeenCalled();
    expect(useDraft.getState().problem).toBeUndefined();
  });

  it('drops a question that is stopped while its image is read', async () => {
    const ask = vi.fn();
    const { source } = sourceOf(ask);
    const endless = { ...intake, settled: () => new Promise<boolean>(() => {}) };
    const session = createAskSession(source, createRunLibrary(), endless);
    session.ask(text);
    await Promise.resolve();
    session.stop();
    await idle();
    expect(ask).not.toHaveBeenCalled();
  });

  it('refuses an invalid question without touching the run on screen', () => {
    useChoices.getState().showRun('former');
    const { source } = sourceOf(vi.fn());
    createAskSession(source, createRunLibrary(), intake).ask('');
    expect(useDraft.getState().problem).toEqual({ kind: 'question', problem: { kind: 'empty' } });
    expect(useChoices.getState().runId).toBe('former');
  });

  it('returns to the previous run when an answer fails before its first token, and shows why', async () => {
    useChoices.getState().showRun('former');
    const { source } = sourceOf(async function* () {
      yield { type: 'begin', header: header('b') };
      yield end('failed', 'out of memory');
    });
    createAskSession(source, createRunLibrary(), intake).ask(text);
    await idle();
    expect(useChoices.getState().runId).toBe('former');
    expect(useDraft.getState().problem).toEqual({ kind: 'answer', reason: 'out of memory' });
  });

  it('removes an answer that was stopped before its first token', async () => {
    const library = createRunLibrary();
    useChoices.getState().showRun('former');
    const { source } = sourceOf(async function* (_question, signal) {
      yield { type: 'begin', header: header('b') };
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      yield end('cancelled');
    });
    const session = createAskSession(source, library, intake);
    session.ask(text);
    await vi.waitFor(() => expect(useChoices.getState().runId).toBe('b'));
    expect(useAsking.getState().asking).toMatchObject({ phase: 'answering', runId: 'b' });
    session.stop();
    await idle();
    expect(useChoices.getState().runId).toBe('former');
    expect(useDraft.getState().problem).toBeUndefined();
    expect(library.list()).toEqual([]);
  });

  it('stops the answer being written when the next question is asked', async () => {
    const library = createRunLibrary();
    let id = 0;
    const { source } = sourceOf(async function* (_question, signal) {
      yield { type: 'begin', header: header(`run ${++id}`) };
      if (id === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      yield end(signal.aborted ? 'cancelled' : 'stop');
    });
    const session = createAskSession(source, library, intake);
    session.ask(text);
    await vi.waitFor(() => expect(library.get('run 1')).toBeDefined());
    session.ask(text);
    await vi.waitFor(() => expect(library.get('run 2')?.snapshot().end?.reason).toBe('stop'));
    expect(library.get('run 1')?.snapshot().end?.reason).toBe('cancelled');
    expect(useChoices.getState().runId).toBe('run 2');
  });

  it('removes a recorded run that is refused', async () => {
    const library = createRunLibrary();
    async function* events(): AsyncIterable<RunEvent> {
      yield { type: 'begin', header: header('d') };
      throw new Error('Image states: expected 2 values as in the header, got 1');
    }
    await expect(collectRun(library, events())).rejects.toThrow('expected 2 values');
    expect(library.get('d')).toBeUndefined();
  });

  it('marks a recorded run without an end event as truncated', async () => {
    const library = createRunLibrary();
    async function* events(): AsyncIterable<RunEvent> {
      yield { type: 'begin', header: header('c') };
      yield token(0);
    }
    const record = await collectRun(library, events());
    expect(record.snapshot()).toMatchObject({ tokens: [{ index: 0 }], end: { reason: 'truncated' } });
  });
});
