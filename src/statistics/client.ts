// The page's end of the statistics' worker.

import { createWorkerLink, type WorkerLink } from '../workers/worker-link';
import type { StatisticName, StatisticsClient, TableStatistics } from './api';
import type { StatisticsQuestions, TableQuestion } from './questions';

const startWorker = () => new Worker(new URL('./statistics.worker.ts', import.meta.url), { type: 'module' });

/** `onDeath`: the worker is gone, and its tables with it. */
export function createStatisticsClient(onDeath: (reason: string) => void = () => {}): StatisticsClient {
  return statisticsOver(createWorkerLink(startWorker, { onDeath, whose: 'the statistics' }));
}

/** Tests hand in a link to a service on their own thread. */
export function statisticsOver(link: WorkerLink<StatisticsQuestions>): StatisticsClient {
  let lastTable = 0;
  return {
    load({ name, bytes }) {
      lastTable += 1;
      return link.ask('load', { table: lastTable, name, bytes }, { transfer: [bytes] });
    },
    close: (table) => void link.ask('close', { table }).catch(() => {}),
    async compute<Name extends StatisticName>(
      name: Name,
      table: number,
      request: TableStatistics[Name]['asks'],
      slot = '',
    ): Promise<TableStatistics[Name]['answers']> {
      const question = { name, table, request } as TableQuestion;
      return link.ask('compute', question, { key: `${name} ${table} ${slot}` });
    },
    entropies(maps, tokens) {
      const copy = maps.slice();
      return link.ask('entropies', { maps: copy, tokens }, { transfer: [copy.buffer] });
    },
    destroy: link.disconnect,
  };
}
