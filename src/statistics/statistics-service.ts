// The statistics' worker behind its messages: each request has one reply, which may be that it failed or that a later
// one took its place.
import { readCalibrationFile } from '../contract/calibration-file';
import { entropyKinds, entropyOf } from '../math/statistics/entropy';
import { macrotask } from '../workers/macrotask';
import { type Calibration, createCalibration } from './calibration';
import type { Questions, QuestionType, StatisticsReply, StatisticsRequest } from './messages';

export interface StatisticsService {
  receive(request: StatisticsRequest): void;
}

/** Thrown where a later request took this one's place. */
const superseded = Symbol('superseded');

type Answer = Questions[QuestionType]['answers'];

export function createStatisticsService(reply: (message: StatisticsReply) => void): StatisticsService {
  const tables = new Map<number, Calibration>();
  const waiting: StatisticsRequest[] = [];
  const latest = new Map<string, number>();
  let isBusy = false;

  const ensureTable = (table: number): Calibration => {
    const found = tables.get(table);
    if (found === undefined) throw new Error('this calibration has been closed');
    return found;
  };

  async function answer(request: StatisticsRequest): Promise<Answer> {
    /** Lets messages in; ends the work where one of them takes its place. */
    const pause = async () => {
      await macrotask();
      if (isSuperseded(request)) throw superseded;
    };
    switch (request.type) {
      case 'load': {
        const { table, name, bytes } = request.asked;
        const calibration = createCalibration(await readCalibrationFile(name, bytes));
        tables.set(table, calibration);
        return { table, ...calibration.summary };
      }
      case 'close':
        tables.delete(request.asked.table);
        return undefined;
      case 'distribution':
        return ensureTable(request.asked.table).distribution(request.asked.request);
      case 'threshold':
        return ensureTable(request.asked.table).threshold(request.asked.request);
      case 'poolings':
        return ensureTable(request.asked.table).poolings(request.asked.request, pause);
      case 'like':
        return ensureTable(request.asked.table).like(request.asked.request);
      case 'filter':
        return ensureTable(request.asked.table).filter(request.asked.request);
      case 'rows':
        return ensureTable(request.asked.table).rows(request.asked.request);
      case 'entropies':
        return mapEntropies(request.asked.maps, request.asked.tokens);
    }
  }

  const isSuperseded = ({ key, id }: StatisticsRequest) => key !== undefined && latest.get(key) !== id;

  async function work() {
    isBusy = true;
    for (;;) {
      // What has been sent by now is heard first, so that of many only the last is computed.
      await macrotask();
      const request = waiting.shift();
      if (request === undefined) break;
      const { id } = request;
      if (isSuperseded(request)) {
        reply({ type: 'superseded', id });
        continue;
      }
      try {
        reply({ type: 'answer', id, answer: await answer(request) });
      } catch (error) {
        if (error === superseded) reply({ type: 'superseded', id });
        else reply({ type: 'failed', id, reason: error instanceof Error ? error.message : String(error) });
      }
    }
    isBusy = false;
  }

  return {
    receive(request) {
      if (request.key !== undefined) latest.set(request.key, request.id);
      waiting.push(request);
      if (!isBusy) void work();
    },
  };
}

function mapEntropies(maps: Float32Array, tokens: number): Questions['entropies']['answers'] {
  const patches = tokens === 0 ? 0 : maps.length / tokens;
  if (!Number.isInteger(patches)) throw new Error(`${maps.length} probabilities are no ${tokens} maps`);
  const [sum, kde, bernoulli] = entropyKinds.map((kind) =>
    Float64Array.from({ length: tokens }, (_, token) =>
      entropyOf(kind, maps.subarray(token * patches, (token + 1) * patches)),
    ),
  );
  return { sum: sum!, kde: kde!, bernoulli: bernoulli! };
}
