import { beforeEach, describe, expect, it } from 'vitest';
import type { MethodId } from '../contract/methods';
import type { ExplainEvent, RunHeader } from '../contract/run';
import type { ExplainRequest } from '../source/run-source';
import { createExplainSession, trackOf, useExplaining } from './explain-session';
import { createRunRecord, type RunRecord } from './run-record';

const header = { id: 'run', question: 'q' } as RunHeader;

function recordOf(tokenCount: number, { id = 'run', isEnded = true } = {}): RunRecord {
  const record = createRunRecord({ ...header, id }, ['blob:'], (notify) => notify());
  for (let index = 0; index < tokenCount; index++) {
    const token = { index, tokenId: index, text: ` t${index}`, word: index, logProb: 0, alternatives: [] };
    record.append({ type: 'token', token });
  }
  if (isEnded) end(record);
  return record;
}

const end = (record: RunRecord) =>
  record.append({ type: 'end', end: { reason: 'stop', answerMs: 1, firstTokenMs: 1 } });

const mapEvent = (method: MethodId, tokenIndex: number): ExplainEvent => ({
  type: 'map',
  map: { method, tokenIndex, values: Float32Array.of(tokenIndex), backend: 'wasm', computeMs: 1 },
});
const cost = (tokens: number) => ({ tokens, ms: 5, forwardPasses: 1, backwardPasses: tokens, peakBytes: undefined });

/** A source that yields one map per step and records its requests. */
function steppedSource() {
  const requests: string[] = [];
  const aborted: string[] = [];
  const waiting: (() => void)[] = [];
  let failure: string | undefined;
  let skips: readonly number[] = [];
  return {
    requests,
    aborted,
    failWith(reason: string | undefined) {
      failure = reason;
    },
    skip(indices: readonly number[]) {
      skips = indices;
    },
    /** Advances by one map, or to the end. */
    async step(times = 1) {
      for (let i = 0; i < times; i++) {
        await settle();
        for (const go of waiting.splice(0)) go();
        await settle();
      }
    },
    async *explain({ method, tokenIndices }: ExplainRequest, signal: AbortSignal): AsyncGenerator<ExplainEvent> {
      const name = `${method} ${tokenIndices.join()}`;
      requests.push(name);
      const turn = () =>
        new Promise<void>((resolve) => {
          waiting.push(resolve);
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      yield { type: 'check', check: { isSame: true, largestDifference: 0 } };
      for (const index of tokenIndices) {
        await turn();
        if (signal.aborted) {
          aborted.push(name);
          yield { type: 'end', reason: 'cancelled', cost: cost(0) };
          return;
        }
        if (failure !== undefined) throw new Error(failure);
        if (!skips.includes(index)) yield mapEvent(method, index);
      }
      yield { type: 'end', reason: 'done', cost: cost(tokenIndices.length) };
    },
  };
}

const settle = () => new Promise((resolve) => setTimeout(resolve, 0));
const track = (method: MethodId, id = 'run') => trackOf(useExplaining.getState(), id, method);
const running = () => useExplaining.getState().running;

beforeEach(() => useExplaining.setState({ running: undefined, tracks: new Map() }));

describe('explaining', () => {
  it('computes the urgent tokens of every method before the rest of any', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    const rest = [0, 1, 2];
    session.request(recordOf(3), [
      { method: 'chefer', first: [1], rest },
      { method: 'rollout', first: [1], rest },
    ]);
    await source.step(12);
    expect(source.requests).toEqual(['chefer 1', 'rollout 1', 'chefer 0,2', 'rollout 0,2']);
    expect(running()).toBeUndefined();
  });

  it('adds maps to the run and skips those it already has', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    const record = recordOf(2);
    record.append(mapEvent('chefer', 0) as Extract<ExplainEvent, { type: 'map' }>);
    session.request(record, [{ method: 'chefer', first: [0], rest: [0, 1] }]);
    await source.step(4);
    expect(source.requests).toEqual(['chefer 1']);
    expect(record.snapshot().mapOf(1, 'chefer')?.values[0]).toBe(1);
    session.request(record, [{ method: 'chefer', first: [1], rest: [0, 1] }]);
    await source.step(4);
    expect(source.requests).toEqual(['chefer 1']);
  });

  it('keeps the costs and the check per run and method', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    session.request(recordOf(3), [{ method: 'chefer', first: [1], rest: [0, 1, 2] }]);
    await source.step(6);
    expect(track('chefer').costs.map(({ tokens }) => tokens)).toEqual([1, 2]);
    expect(track('chefer').check?.isSame).toBe(true);
    expect(track('chefer', 'another run').costs).toEqual([]);
  });

  it('reports progress', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    session.request(recordOf(3), [{ method: 'chefer', first: [], rest: [0, 1, 2] }]);
    await settle();
    expect(running()).toMatchObject({ method: 'chefer', done: 0, of: 3 });
    await source.step(2);
    expect(running()).toMatchObject({ done: 2, of: 3 });
  });

  it('waits until the answer is complete', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    const record = recordOf(1, { isEnded: false });
    const request = () => session.request(record, [{ method: 'chefer', first: [0], rest: [0] }]);
    request();
    await settle();
    expect(source.requests).toEqual([]);
    end(record);
    request();
    await settle();
    expect(source.requests).toEqual(['chefer 0']);
  });

  it('requests the whole answer if a token’s map depends on the others in the request', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    session.request(recordOf(3), [{ method: 'dex-ar', first: [1], rest: [0, 1, 2] }]);
    await source.step(6);
    expect(source.requests).toEqual(['dex-ar 0,1,2']);
  });
});

describe('the latest request', () => {
  it('interrupts the rest of an answer for an urgent token, keeps finished maps and resumes', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    const record = recordOf(4);
    const rest = [0, 1, 2, 3];
    session.request(record, [{ method: 'chefer', first: [], rest }]);
    await source.step();
    session.request(record, [{ method: 'chefer', first: [3], rest }]);
    await source.step(8);
    expect(source.requests).toEqual(['chefer 0,1,2,3', 'chefer 3', 'chefer 1,2']);
    expect(source.aborted).toEqual(['chefer 0,1,2,3']);
    expect(track('chefer').stop).toBeUndefined();
  });

  it('lets a job continue that covers the urgent tokens', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    const record = recordOf(3);
    session.request(record, [{ method: 'chefer', first: [0, 1], rest: [] }]);
    await settle();
    session.request(record, [{ method: 'chefer', first: [1], rest: [] }]);
    await source.step(4);
    expect(source.aborted).toEqual([]);
    expect(source.requests).toEqual(['chefer 0,1']);
  });

  it('lets the rest continue if the urgent token already has its map', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    const record = recordOf(3);
    session.request(record, [{ method: 'chefer', first: [], rest: [0, 1, 2] }]);
    await source.step();
    session.request(record, [{ method: 'chefer', first: [0], rest: [0, 1, 2] }]);
    await source.step(4);
    expect(source.aborted).toEqual([]);
  });

  it('abandons methods and runs that are no longer requested', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    session.request(recordOf(2), [{ method: 'chefer', first: [0], rest: [] }]);
    await settle();
    session.request(recordOf(2, { id: 'other' }), [{ method: 'rollout', first: [0], rest: [] }]);
    await source.step(3);
    expect(source.aborted).toEqual(['chefer 0']);
    expect(source.requests).toEqual(['chefer 0', 'rollout 0']);
  });

  it('stops everything when released', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    session.request(recordOf(2), [{ method: 'chefer', first: [0], rest: [1] }]);
    await settle();
    session.release();
    await source.step(3);
    expect(source.aborted).toEqual(['chefer 0']);
    expect(source.requests).toHaveLength(1);
    expect(running()).toBeUndefined();
  });
});

describe('a method that stops', () => {
  it('stays stopped after a cancel, while others continue, until it is resumed', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    const record = recordOf(2);
    session.request(record, [
      { method: 'chefer', first: [0, 1], rest: [] },
      { method: 'rollout', first: [0], rest: [] },
    ]);
    await source.step();
    session.cancel('run', 'chefer');
    await source.step(3);
    expect(track('chefer').stop).toEqual({ kind: 'cancelled' });
    expect(source.requests).toEqual(['chefer 0,1', 'rollout 0']);
    expect(record.hasMap(0, 'chefer')).toBe(true);
    session.resume('run', 'chefer');
    await source.step(3);
    expect(source.requests.at(-1)).toBe('chefer 1');
    expect(record.hasMap(1, 'chefer')).toBe(true);
  });

  it('reports why it failed and retries only when resumed', async () => {
    const source = steppedSource();
    const session = createExplainSession(source);
    source.failWith('the pass needs 41 GB, 24 GB are free');
    session.request(recordOf(2), [{ method: 'chefer', first: [0], rest: [0, 1] }]);
    await source.step(3);
    expect(track('chefer').stop).toEqual({ kind: 'failed', reason: 'the pass needs 41 GB, 24 GB are free' });
    expect(source.requests).toHaveLength(1);
    source.failWith(undefined);
    session.resume('run', 'chefer');
    await source.step(4);
    expect(source.requests).toEqual(['chefer 0', 'chefer 0', 'chefer 1']);
    expect(track('chefer').stop).toBeUndefined();
  });

  it('fails if it ends without the requested maps', async () => {
    const source = steppedSource();
    source.skip([1]);
    const session = createExplainSession(source);
    session.request(recordOf(2), [{ method: 'chefer', first: [], rest: [0, 1] }]);
    await source.step(4);
    expect(track('chefer').stop).toEqual({ kind: 'failed', reason: '1 token returned without a map' });
    expect(source.requests).toHaveLength(1);
  });
});
