import { describe, expect, it, vi } from 'vitest';
import { linkHere, WorkerHere } from './worker-here.example';
import { createWorkerLink } from './worker-link';
import type { Handlers, Task } from './worker-service';

interface TestProtocol {
  double: { request: number; response: number };
  count: { request: number; events: number; response: string };
  fail: { request: string; response: undefined };
  buffer: { request: Float32Array; events: Float32Array; response: Float32Array };
  hold: { request: string; response: string };
}

/** `held`: pending `hold` requests by name, until they are released. */
function createHandlers() {
  const held = new Map<string, { readonly release: () => void; readonly task: Task<never> }>();
  const handlers: Handlers<TestProtocol> = {
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

describe('a request to a worker', () => {
  it('gets its own response', async () => {
    const { request } = linkHere(createHandlers().handlers);
    expect(await Promise.all([request('double', 1), request('double', 2)])).toEqual([2, 4]);
  });

  it('reports events in order before the response', async () => {
    const { request } = linkHere(createHandlers().handlers);
    const events: number[] = [];
    expect(await request('count', 3, { onEvent: (event) => events.push(event) })).toBe('done');
    expect(events).toEqual([0, 1, 2]);
  });

  it('rejects with the handler’s error, and the next one succeeds', async () => {
    const { request } = linkHere(createHandlers().handlers);
    await expect(request('fail', 'no such table')).rejects.toThrow('no such table');
    expect(await request('double', 4)).toBe(8);
  });

  it('moves buffers both ways', async () => {
    const { request } = linkHere(createHandlers().handlers);
    const values = Float32Array.of(1, 2);
    const events: Float32Array[] = [];
    const onEvent = (event: Float32Array) => events.push(event);
    expect(await request('buffer', values, { transfer: [values.buffer], onEvent })).toEqual(Float32Array.of(1, 2));
    expect(events).toEqual([Float32Array.of(1, 2)]);
    expect(values).toHaveLength(0);
  });

  it('waits for the previous one unless the service is concurrent', async () => {
    const serial = createHandlers();
    const { request } = linkHere(serial.handlers);
    const first = request('hold', 'first');
    let isAnswered = false;
    const second = request('double', 1).then(() => {
      isAnswered = true;
    });
    await vi.waitFor(() => expect(serial.held.has('first')).toBe(true));
    expect(isAnswered).toBe(false);
    serial.held.get('first')!.release();
    await Promise.all([first, second]);

    const concurrent = createHandlers();
    const link = linkHere(concurrent.handlers, { isConcurrent: true });
    const held = link.request('hold', 'held');
    expect(await link.request('double', 1)).toBe(2);
    concurrent.held.get('held')!.release();
    expect(await held).toBe('held');
  });
});

describe('a later request with the same key', () => {
  it('supersedes pending ones, whose handler is never called', async () => {
    const { handlers, held } = createHandlers();
    const { request } = linkHere(handlers);
    const names = ['a', 'b', 'c'].map((name) => request('hold', name, { key: 'slot' }).catch(nameOf));
    const other = request('hold', 'other', { key: 'elsewhere' });
    for (const name of ['c', 'other']) {
      await vi.waitFor(() => expect(held.has(name)).toBe(true));
      held.get(name)!.release();
    }
    expect(await Promise.all([...names, other])).toEqual(['AbortError', 'AbortError', 'c', 'other']);
    expect([...held.keys()]).toEqual(['c', 'other']);
  });

  it('stops a running one at its next pause', async () => {
    const { handlers, held } = createHandlers();
    const { request } = linkHere(handlers);
    const first = request('hold', 'first', { key: 'slot' }).catch(nameOf);
    await vi.waitFor(() => expect(held.has('first')).toBe(true));
    const second = request('hold', 'second', { key: 'slot' });
    await vi.waitFor(() => expect(held.get('first')!.task.signal.aborted).toBe(true));
    held.get('first')!.release();
    expect(await first).toBe('AbortError');
    await vi.waitFor(() => expect(held.has('second')).toBe(true));
    held.get('second')!.release();
    expect(await second).toBe('second');
  });
});

describe('a cancelled request', () => {
  it('ends with what the handler returns after the abort', async () => {
    const { request } = linkHere(createHandlers().handlers);
    const controller = new AbortController();
    const onEvent = (event: number) => event === 1 && controller.abort();
    const response = await request('count', 1000, { signal: controller.signal, onEvent });
    expect(response).toMatch(/^stopped after \d+$/);
    const before = AbortSignal.abort();
    expect(await request('count', 1000, { signal: before })).toMatch(/^stopped/);
  });

  it('can also be cancelled by a reader of its events that stops early', async () => {
    const { handlers, held } = createHandlers();
    const signals: AbortSignal[] = [];
    const count: Handlers<TestProtocol>['count'] = (n, task) => {
      signals.push(task.signal);
      return handlers.count(n, task);
    };
    const { stream, request } = linkHere<TestProtocol>({ ...handlers, count });
    for await (const event of stream('count', 1000)) if (event === 1) break;
    expect(await request('double', 3)).toBe(6);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(held.size).toBe(0);
  });
});

describe('a worker', () => {
  const startAll = () => {
    const { handlers, held } = createHandlers();
    const workers: WorkerHere<TestProtocol>[] = [];
    const deaths: string[] = [];
    const start = () => {
      workers.push(new WorkerHere(handlers));
      return workers.at(-1) as unknown as Worker;
    };
    const link = createWorkerLink<TestProtocol>(start, { onDeath: (reason) => deaths.push(reason), owner: 'the head' });
    return { link, workers, deaths, held };
  };

  it('that dies rejects pending requests, and the next request starts a new worker', async () => {
    const { link, workers, deaths } = startAll();
    const pending = [link.request('hold', 'a'), link.request('hold', 'b')];
    workers[0]!.onerror({ message: 'out of memory' });
    for (const one of pending) await expect(one).rejects.toThrow("the head's worker failed: out of memory");
    expect(deaths).toEqual(["the head's worker failed: out of memory"]);
    expect(await link.request('double', 5)).toBe(10);
    expect(workers).toHaveLength(2);
  });

  it('starts with the first request and serves later ones', async () => {
    const { link, workers } = startAll();
    expect(workers).toHaveLength(0);
    await link.request('double', 1);
    await link.request('double', 2);
    expect(workers).toHaveLength(1);
  });

  it('that is abandoned counts as dead, and the next request starts another', async () => {
    const { link, workers, deaths } = startAll();
    const pending = link.request('hold', 'a');
    link.abandon('you stopped it');
    await expect(pending).rejects.toThrow('you stopped it');
    expect(deaths).toEqual(['you stopped it']);
    expect(await link.request('double', 5)).toBe(10);
    expect(workers).toHaveLength(2);
  });

  it('that is disconnected rejects pending requests and does not count as a death', async () => {
    const { link, workers, deaths } = startAll();
    const pending = link.request('hold', 'a');
    link.disconnect();
    await expect(pending).rejects.toThrow('the head was closed');
    expect(deaths).toEqual([]);
    expect(await link.request('double', 5)).toBe(10);
    expect(workers).toHaveLength(2);
  });

  it('is terminated if its startup fails', async () => {
    const { link, workers } = startAll();
    await expect(link.disconnectOnFailure(() => link.request('fail', 'no wasm'))).rejects.toThrow('no wasm');
    expect(await link.disconnectOnFailure(() => link.request('double', 1))).toBe(2);
    expect(workers).toHaveLength(2);
  });
});
