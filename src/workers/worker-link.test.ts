import { describe, expect, it, vi } from 'vitest';
import { linkHere, WorkerHere } from './worker-here.example';
import { createWorkerLink } from './worker-link';
import type { Handlers, Task } from './worker-service';

interface Questions {
  double: { asks: number; answers: number };
  count: { asks: number; events: number; answers: string };
  fail: { asks: string; answers: undefined };
  buffer: { asks: Float32Array; events: Float32Array; answers: Float32Array };
  hold: { asks: string; answers: string };
}

/** Requests of `hold` that wait to be let go, by what they asked. */
function createHandlers() {
  const held = new Map<string, { readonly release: () => void; readonly task: Task<never> }>();
  const handlers: Handlers<Questions> = {
    double: (n) => 2 * n,
    async count(n, { signal, emit, pause }) {
      for (let i = 0; i < n; i++) {
        emit(i);
        await pause().catch(() => {});
        if (signal.aborted) return `stopped after ${i}`;
      }
      return 'done';
    },
    fail(reason) {
      throw new Error(reason);
    },
    buffer(values, { emit, handOver }) {
      const event = values.slice();
      emit(event, [event.buffer]);
      handOver(values.buffer as ArrayBuffer);
      return values;
    },
    async hold(name, task) {
      await new Promise<void>((release) => {
        held.set(name, { release, task });
      });
      await task.pause();
      return name;
    },
  };
  return { handlers, held };
}

const nameOf = (error: Error) => error.name;

describe('a question to a worker', () => {
  it('is answered, each by its own answer', async () => {
    const { ask } = linkHere(createHandlers().handlers);
    expect(await Promise.all([ask('double', 1), ask('double', 2)])).toEqual([2, 4]);
  });

  it('reports events in order before its answer', async () => {
    const { ask } = linkHere(createHandlers().handlers);
    const events: number[] = [];
    expect(await ask('count', 3, { onEvent: (event) => events.push(event) })).toBe('done');
    expect(events).toEqual([0, 1, 2]);
  });

  it('rejects with what the handler threw, and the next is answered', async () => {
    const { ask } = linkHere(createHandlers().handlers);
    await expect(ask('fail', 'no such table')).rejects.toThrow('no such table');
    expect(await ask('double', 4)).toBe(8);
  });

  it('moves buffers both ways', async () => {
    const { ask } = linkHere(createHandlers().handlers);
    const values = Float32Array.of(1, 2);
    const events: Float32Array[] = [];
    const onEvent = (event: Float32Array) => events.push(event);
    expect(await ask('buffer', values, { transfer: [values.buffer], onEvent })).toEqual(Float32Array.of(1, 2));
    expect(events).toEqual([Float32Array.of(1, 2)]);
    expect(values).toHaveLength(0);
  });

  it('waits for the one before it, unless they are served concurrently', async () => {
    const serial = createHandlers();
    const { ask } = linkHere(serial.handlers);
    const first = ask('hold', 'first');
    let isAnswered = false;
    const second = ask('double', 1).then(() => {
      isAnswered = true;
    });
    await vi.waitFor(() => expect(serial.held.has('first')).toBe(true));
    expect(isAnswered).toBe(false);
    serial.held.get('first')!.release();
    await Promise.all([first, second]);

    const concurrent = createHandlers();
    const link = linkHere(concurrent.handlers, { isConcurrent: true });
    const held = link.ask('hold', 'held');
    expect(await link.ask('double', 1)).toBe(2);
    concurrent.held.get('held')!.release();
    expect(await held).toBe('held');
  });
});

describe('a later question of the same key', () => {
  it('takes the place of those that wait, whose handler is never called', async () => {
    const { handlers, held } = createHandlers();
    const { ask } = linkHere(handlers);
    const names = ['a', 'b', 'c'].map((name) => ask('hold', name, { key: 'slot' }).catch(nameOf));
    const other = ask('hold', 'other', { key: 'elsewhere' });
    for (const name of ['c', 'other']) {
      await vi.waitFor(() => expect(held.has(name)).toBe(true));
      held.get(name)!.release();
    }
    expect(await Promise.all([...names, other])).toEqual(['AbortError', 'AbortError', 'c', 'other']);
    expect([...held.keys()]).toEqual(['c', 'other']);
  });

  it('stops the one that is under way at its next pause', async () => {
    const { handlers, held } = createHandlers();
    const { ask } = linkHere(handlers);
    const first = ask('hold', 'first', { key: 'slot' }).catch(nameOf);
    await vi.waitFor(() => expect(held.has('first')).toBe(true));
    const second = ask('hold', 'second', { key: 'slot' });
    await vi.waitFor(() => expect(held.get('first')!.task.signal.aborted).toBe(true));
    held.get('first')!.release();
    expect(await first).toBe('AbortError');
    await vi.waitFor(() => expect(held.has('second')).toBe(true));
    held.get('second')!.release();
    expect(await second).toBe('second');
  });
});

describe('a cancelled question', () => {
  it('ends with what the handler gives after its signal was aborted', async () => {
    const { ask } = linkHere(createHandlers().handlers);
    const controller = new AbortController();
    const onEvent = (event: number) => event === 1 && controller.abort();
    const answer = await ask('count', 1000, { signal: controller.signal, onEvent });
    expect(answer).toMatch(/^stopped after \d+$/);
    const before = AbortSignal.abort();
    expect(await ask('count', 1000, { signal: before })).toMatch(/^stopped/);
  });

  it('is cancelled, too, by a reader of its events who leaves early', async () => {
    const { handlers, held } = createHandlers();
    const signals: AbortSignal[] = [];
    const count: Handlers<Questions>['count'] = (n, task) => {
      signals.push(task.signal);
      return handlers.count(n, task);
    };
    const { stream, ask } = linkHere<Questions>({ ...handlers, count });
    for await (const event of stream('count', 1000)) if (event === 1) break;
    expect(await ask('double', 3)).toBe(6);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(held.size).toBe(0);
  });
});

describe('a worker', () => {
  const startAll = () => {
    const { handlers, held } = createHandlers();
    const workers: WorkerHere<Questions>[] = [];
    const deaths: string[] = [];
    const start = () => {
      workers.push(new WorkerHere(handlers));
      return workers.at(-1) as unknown as Worker;
    };
    const link = createWorkerLink<Questions>(start, { onDeath: (reason) => deaths.push(reason), whose: 'the head' });
    return { link, workers, deaths, held };
  };

  it('that dies rejects what is pending, and the next question starts another', async () => {
    const { link, workers, deaths } = startAll();
    const pending = [link.ask('hold', 'a'), link.ask('hold', 'b')];
    workers[0]!.onerror({ message: 'out of memory' });
    for (const one of pending) await expect(one).rejects.toThrow("the head's worker failed: out of memory");
    expect(deaths).toEqual(["the head's worker failed: out of memory"]);
    expect(await link.ask('double', 5)).toBe(10);
    expect(workers).toHaveLength(2);
  });

  it('starts with the first question, and serves the later ones', async () => {
    const { link, workers } = startAll();
    expect(workers).toHaveLength(0);
    await link.ask('double', 1);
    await link.ask('double', 2);
    expect(workers).toHaveLength(1);
  });

  it('that is disconnected rejects what is pending, and is no death', async () => {
    const { link, workers, deaths } = startAll();
    const pending = link.ask('hold', 'a');
    link.disconnect();
    await expect(pending).rejects.toThrow('the head was closed');
    expect(deaths).toEqual([]);
    expect(await link.ask('double', 5)).toBe(10);
    expect(workers).toHaveLength(2);
  });

  it('is given up where starting it up failed', async () => {
    const { link, workers } = startAll();
    await expect(link.disconnectOnFailure(() => link.ask('fail', 'no wasm'))).rejects.toThrow('no wasm');
    expect(await link.disconnectOnFailure(() => link.ask('double', 1))).toBe(2);
    expect(workers).toHaveLength(2);
  });
});
