// The page's side of the statistics worker.

import { createWorkerLink, type WorkerLink } from '../workers/worker-link';
import type { StatisticName, StatisticsClient, TableStatistics } from './api';
import type { StatisticsProtocol, TableRequest } from './protocol';

const startWorker = () => new Worker(new URL('./statistics.worker.ts', import.meta.url), { type: 'module' });

/** `onDeath` is called when the worker dies, which loses all its tables. */
export function createStatisticsClient(onDeath: (reason: string) => void = () => {}): StatisticsClient {
  return statisticsOver(createWorkerLink(startWorker, { onDeath, owner: 'the statistics' }));
}

/** Tests pass a link to a service on the same thread. */
export function statisticsOver(link: WorkerLink<StatisticsProtocol>): StatisticsClient {
  let lastTable = 0;
  return {
    load({ name, bytes }) {
      lastTable += 1;
      return link.request('load', { table: lastTable, name, bytes }, { transfer: [bytes] });
    },
    close: (table) => void link.request('close', { table }).catch(() => {}),
    stop: link.abandon,
    async compute<Name extends StatisticName>(
      name: Name,
      table: number,
      request: TableStatistics[Name]['request'],
      slot = '',
    ): Promise<TableStatistics[Name]['response']> {
      const tableRequest = { name, table, request } as TableRequest;
      return link.request('compute', tableRequest, { key: `${name} ${table} ${slot}` });
    },
    entropies(maps, tokens) {
      const copy = maps.slice();
      return link.request('entropies', { maps: copy, tokens }, { transfer: [copy.buffer] });
    },
    destroy: link.disconnect,
  };
}
