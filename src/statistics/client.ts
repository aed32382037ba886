// The page's end of the statistics' worker.

import { createWorkerLink } from '../workers/worker-link';
import type { StatisticsClient } from './api';
import type { Questions, QuestionType, StatisticsReply, StatisticsRequest } from './messages';

const startWorker = () => new Worker(new URL('./statistics.worker.ts', import.meta.url), { type: 'module' });

/** `onDeath`: the worker is gone, and its tables with it. */
export function createStatisticsClient(onDeath: (reason: string) => void = () => {}): StatisticsClient {
  const link = createWorkerLink<StatisticsRequest, StatisticsReply>(startWorker, onDeath, 'the statistics');
  let lastTable = 0;

  async function ask<Type extends QuestionType>(
    type: Type,
    asked: Questions[Type]['asks'],
    key?: string,
    transfer: readonly Transferable[] = [],
  ): Promise<Questions[Type]['answers']> {
    const { id, replies, send, close } = link.open();
    try {
      send({ type, id, key, asked } as StatisticsRequest, transfer);
      for await (const reply of replies) {
        if (reply.type === 'failed') throw new Error(reply.reason);
        if (reply.type === 'superseded') throw new DOMException('a later request took its place', 'AbortError');
        return reply.answer as Questions[Type]['answers'];
      }
      throw new Error("the statistics' worker stopped");
    } finally {
      close();
    }
  }

  return {
    load({ name, bytes }) {
      lastTable += 1;
      return ask('load', { table: lastTable, name, bytes }, undefined, [bytes]);
    },
    close: (table) => void ask('close', { table }).catch(() => {}),
    distribution: (table, request, slot = '') =>
      ask('distribution', { table, request }, `distribution ${table} ${slot}`),
    threshold: (table, request, slot = '') => ask('threshold', { table, request }, `threshold ${table} ${slot}`),
    poolings: (table, request) => ask('poolings', { table, request }, `poolings ${table}`),
    like: (table, request, slot = '') => ask('like', { table, request }, `like ${table} ${slot}`),
    filter: (table, request) => ask('filter', { table, request }, `filter ${table}`),
    rows: (table, request, slot = '') => ask('rows', { table, request }, `rows ${table} ${slot}`),
    entropies(maps, tokens) {
      const copy = maps.slice();
      return ask('entropies', { maps: copy, tokens }, undefined, [copy.buffer]);
    },
    destroy: link.disconnect,
  };
}
