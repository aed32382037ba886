import { QueryClient, QueryObserver } from '@tanstack/react-query';
import { describe, expect, it, vi } from 'vitest';
import type { StatisticsClient } from '../statistics/api';
import { distributionQuery, filterQuery, kindsQuery, rowsQuery, thresholdQuery } from './statistics-queries';

const value = { of: 'logProb', pooling: 'mean' } as const;
/** A worker whose answers name the table that they are about; table 9 never answers. */
const statistics = {
  compute: async (name: string, table: number) =>
    table === 9 ? new Promise(() => {}) : { about: `${name} of table ${table}`, charts: [] },
} as unknown as StatisticsClient;

type Query = ReturnType<typeof queriesOf>[keyof ReturnType<typeof queriesOf>];

const queriesOf = (table: number) => ({
  threshold: thresholdQuery(statistics, table, { value }, 'slot'),
  kinds: kindsQuery(statistics, table, { values: [value] }, 'slot'),
  distribution: distributionQuery(statistics, table, { value }, 'slot'),
  filter: filterQuery(statistics, table, { charts: [], choices: {} }),
  rows: rowsQuery(
    statistics,
    table,
    { charts: [], choices: {} },
    { order: { by: 'file', descending: false }, values: [] },
  ),
});

async function watch(query: Query) {
  const observer = new QueryObserver(new QueryClient(), query as never);
  observer.subscribe(() => {});
  await vi.waitFor(() => expect(observer.getCurrentResult().data).toBeDefined());
  return (next: unknown) => {
    observer.setOptions(next as never);
    return observer.getCurrentResult().data;
  };
}

describe('a statistic on screen', () => {
  it.each(['threshold', 'kinds', 'distribution', 'filter', 'rows'] as const)(
    '%s of one table is not shown for another while that is computed',
    async (name) => {
      const change = await watch(queriesOf(1)[name]);
      expect(change(queriesOf(9)[name])).toBeUndefined();
    },
  );

  it('is not shown for a table that does not have the value', async () => {
    const threshold = await watch(thresholdQuery(statistics, 1, { value }, 'slot'));
    expect(threshold(thresholdQuery(statistics, undefined, { value }, 'slot'))).toBeUndefined();
    const kinds = await watch(kindsQuery(statistics, 1, { values: [value] }, 'slot'));
    expect(kinds(kindsQuery(statistics, undefined, undefined, 'slot'))).toBeUndefined();
  });

  it('stays while another request for the same table is computed', async () => {
    const change = await watch(thresholdQuery(statistics, 1, { value }, 'slot'));
    expect(change(thresholdQuery(statistics, 1, { value, seed: 4 }, 'slot'))).toMatchObject({
      about: 'threshold of table 1',
    });
  });
});
