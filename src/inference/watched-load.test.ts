import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { linkHere } from '../workers/worker-here.example';
import type { LoadProgress } from './load-progress';
import { watchLoad } from './watched-load';

interface TestProtocol {
  load: { request: { maxThreads: number | undefined }; events: LoadProgress; response: string };
}

const bytes = { loadedBytes: 9, totalBytes: 9 };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Loads in a worker that makes one step every `stepMs`, and stops for ever after `hangAfter` steps of several threads. */
function createLoad({ stepMs = 1, steps = 4, hangAfter = Number.POSITIVE_INFINITY, threads = 2 }) {
  const maxThreads: (number | undefined)[] = [];
  const shown: string[] = [];
  const link = linkHere<TestProtocol>({
    async load(request, { emit }) {
      maxThreads.push(request.maxThreads);
      const startingThreads = Math.min(threads, request.maxThreads ?? threads);
      emit({ ...bytes, what: 'the files' });
      for (let step = 0; step < steps; step++) {
        emit({ ...bytes, what: 'the model', startingThreads });
        const isHanging = startingThreads > 1 && step >= hangAfter;
        await new Promise<void>((resolve) => void (isHanging || setTimeout(resolve, stepMs)));
      }
      return `loaded on ${startingThreads}`;
    },
  });
  const load = (most: number | undefined, onEvent: (progress: LoadProgress) => void) =>
    link.request('load', { maxThreads: most }, { onEvent });
  const loaded = watchLoad(load, link.disconnect, ({ what }) => shown.push(what));
  return { loaded, maxThreads, shown };
}

test('loads once if the start makes progress, however long it takes', async () => {
  const { loaded, maxThreads } = createLoad({ stepMs: 19_000 });
  await vi.advanceTimersByTimeAsync(200_000);
  expect(await loaded).toEqual({ loaded: 'loaded on 2', isRestarted: false });
  expect(maxThreads).toEqual([undefined]);
});

test.each([0, 2])('starts over on one thread if the start stalls after %i steps', async (hangAfter) => {
  const { loaded, maxThreads, shown } = createLoad({ hangAfter });
  await vi.advanceTimersByTimeAsync(19_000);
  expect(maxThreads).toEqual([undefined]);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(await loaded).toEqual({ loaded: 'loaded on 1', isRestarted: true });
  expect(maxThreads).toEqual([undefined, 1]);
  expect(shown.at(-1)).toBe('the model, on one thread');
});

test('never restarts a start on one thread', async () => {
  for (const options of [{ threads: 1 }, { hangAfter: 0 }]) {
    const { loaded, maxThreads } = createLoad({ ...options, stepMs: 100_000 });
    await vi.advanceTimersByTimeAsync(500_000);
    expect((await loaded).loaded).toBe('loaded on 1');
    expect(maxThreads.at(-1)).toBe('hangAfter' in options ? 1 : undefined);
  }
});

test('does not count files that arrive slowly', async () => {
  const load = vi.fn(async (_most: number | undefined, onProgress: (progress: LoadProgress) => void) => {
    onProgress({ loadedBytes: 1, totalBytes: 9, what: 'the files' });
    await new Promise((resolve) => setTimeout(resolve, 100_000));
    return 'loaded';
  });
  const loaded = watchLoad(
    load,
    () => {},
    () => {},
  );
  await vi.advanceTimersByTimeAsync(100_000);
  expect(await loaded).toEqual({ loaded: 'loaded', isRestarted: false });
});

test('passes on any other failure', async () => {
  const load = vi.fn(() => Promise.reject(new Error('no such file')));
  await expect(
    watchLoad(
      load,
      () => {},
      () => {},
    ),
  ).rejects.toThrow('no such file');
  expect(load).toHaveBeenCalledTimes(1);
});
