import { QueryClient, QueryObserver } from '@tanstack/react-query';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { LoadedCalibration } from '../statistics/api';
import { forgetCalibrations, useOwnCalibration } from './calibration-files';

afterEach(() => useOwnCalibration.setState({ open: undefined, reading: undefined, problem: undefined }));

describe('when the statistics’ worker dies', () => {
  it('loads the model’s own calibration again, and says that the user’s is lost', async () => {
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
    expect(useOwnCalibration.getState().problem).toContain('mine.csv');
    await vi.waitFor(() => expect(observer.getCurrentResult().data).toBe(2));
    for (let death = 2; death <= 9; death++) {
      forgetCalibrations(queries);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(loads).toBeLessThan(6);
    stop();
  });
});
