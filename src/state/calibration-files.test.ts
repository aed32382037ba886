import { QueryClient, QueryObserver } from '@tanstack/react-query';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { LoadedCalibration, StatisticsClient } from '../statistics/api';
import {
  dropOwnCalibration,
  forgetCalibrations,
  restoreCalibrationFile,
  stopReading,
  takeCalibrationFile,
  useOwnCalibration,
} from './calibration-files';

const nothing = { open: undefined, isUnkept: false, file: { phase: 'none' } } as const;
afterEach(() => useOwnCalibration.setState(nothing));

/** Holds at most `limit` characters, as browsers do. */
function createStorage(limit = Number.POSITIVE_INFINITY): Storage {
  const items = new Map<string, string>();
  return {
    getItem: (key: string) => items.get(key) ?? null,
    removeItem: (key: string) => void items.delete(key),
    setItem(key: string, value: string) {
      if (value.length > limit) throw new DOMException('full', 'QuotaExceededError');
      items.set(key, value);
    },
  } as unknown as Storage;
}

/** A worker that reads any file; `read` has what was loaded. */
function createStatistics() {
  const read: string[] = [];
  const client = {
    async load({ name, bytes }: { name: string; bytes: ArrayBuffer }) {
      read.push(`${name}: ${new TextDecoder().decode(bytes)}`);
      return { table: read.length } as LoadedCalibration;
    },
    close: () => {},
  } as unknown as StatisticsClient;
  return { client, read };
}

const file = new File(['entropy,correct\n4.5,1\n'], 'mine.csv');

/** A new page has no state but the tab's storage. */
async function reloadedPage(storage: Storage) {
  vi.resetModules();
  const page = await import('./calibration-files');
  const { client, read } = createStatistics();
  await page.restoreCalibrationFile(client, storage);
  return { read, state: page.useOwnCalibration.getState() };
}

describe('the user’s table', () => {
  it('is opened again when the page is reloaded, until the user returns to the model’s calibration', async () => {
    const storage = createStorage();
    const { client } = createStatistics();
    await takeCalibrationFile(client, file, storage);
    const { read, state } = await reloadedPage(storage);
    expect(read).toEqual(['mine.csv: entropy,correct\n4.5,1\n']);
    expect(state).toMatchObject({ open: { name: 'mine.csv' }, isUnkept: false });
    dropOwnCalibration(client, storage);
    expect((await reloadedPage(storage)).read).toEqual([]);
  });

  it('is the last one that was loaded', async () => {
    const storage = createStorage();
    const { client } = createStatistics();
    await takeCalibrationFile(client, new File(['a'], 'first.csv'), storage);
    await takeCalibrationFile(client, new File(['b'.repeat(100_000)], 'second.csv'), storage);
    expect((await reloadedPage(storage)).read).toEqual([`second.csv: ${'b'.repeat(100_000)}`]);
  });

  it('is known to be lost on reload if it is too large to keep, or if the browser blocks storage', async () => {
    const { client } = createStatistics();
    const storage = createStorage(50);
    await takeCalibrationFile(client, file, storage);
    expect(useOwnCalibration.getState()).toMatchObject({ open: { name: 'mine.csv' }, isUnkept: true });
    expect((await reloadedPage(storage)).read).toEqual([]);
    await takeCalibrationFile(client, file, undefined);
    expect(useOwnCalibration.getState().isUnkept).toBe(true);
  });

  it('is not opened again if it killed the worker or cannot be read', async () => {
    const storage = createStorage();
    await takeCalibrationFile(createStatistics().client, file, storage);
    forgetCalibrations(new QueryClient(), storage);
    expect((await reloadedPage(storage)).read).toEqual([]);
    storage.setItem('patchlight.table', JSON.stringify({ name: 'odd.csv', gzip: '!' }));
    await restoreCalibrationFile(createStatistics().client, storage);
    expect((await reloadedPage(storage)).state.file).toEqual({ phase: 'none' });
  });
});

describe('a table whose reading does not end', () => {
  it('can be stopped, and the page says so', async () => {
    let fail = (_: Error) => {};
    const client = {
      load: () =>
        new Promise((_, reject) => {
          fail = reject;
        }),
      stop: (reason: string) => fail(new Error(reason)),
    } as unknown as StatisticsClient;
    stopReading(client);
    const taking = takeCalibrationFile(client, file, createStorage());
    await vi.waitFor(() => expect(useOwnCalibration.getState().file).toMatchObject({ phase: 'reading' }));
    await Promise.resolve();
    stopReading(client);
    await taking;
    const reason = 'mine.csv was not loaded. You stopped reading it.';
    expect(useOwnCalibration.getState().file).toEqual({ phase: 'failed', reason });
  });
});

describe('when the statistics worker dies', () => {
  it('reloads the model’s calibration and reports that the user’s is lost', async () => {
    const queries = new QueryClient();
    let loads = 0;
    const observer = new QueryObserver(queries, {
      queryKey: ['calibration', 'url'],
      queryFn: async () => {
        loads += 1;
        return loads;
      },
      staleTime: Number.POSITIVE_INFINITY,
    });
    const stop = observer.subscribe(() => {});
    await vi.waitFor(() => expect(observer.getCurrentResult().data).toBe(1));
    const loaded = { table: 1 } as LoadedCalibration;
    useOwnCalibration.setState({ open: { loaded, name: 'mine.csv', folderUrl: undefined } });
    forgetCalibrations(queries);
    expect(useOwnCalibration.getState().open).toBeUndefined();
    const { file } = useOwnCalibration.getState();
    expect(file).toMatchObject({ phase: 'failed', reason: expect.stringContaining('mine.csv') });
    await vi.waitFor(() => expect(observer.getCurrentResult().data).toBe(2));
    for (let death = 2; death <= 9; death++) {
      forgetCalibrations(queries);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(loads).toBeLessThan(6);
    stop();
  });
});
