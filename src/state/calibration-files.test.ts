import { QueryClient, QueryObserver } from '@tanstack/react-query';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { LoadedCalibration } from '../statistics/api';
import { forgetCalibrations, useOwnCalibration } from './calibration-files';

afterEach(() => useOwnCalibration.setState({ open: undefined, file: { phase: 'none' } }));

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
