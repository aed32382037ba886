// The statistics worker: loads calibration tables, computes statistics on them and closes them.
import { readCalibrationFile } from '../contract/calibration-file';
import { entropyKinds, entropyOf } from '../math/statistics/entropy';
import type { Handlers } from '../workers/worker-service';
import type { MapEntropies, StatisticName } from './api';
import { type Computation, createCalibration, type TableComputations } from './calibration';
import type { StatisticsProtocol } from './protocol';

export function createStatisticsHandlers(): Handlers<StatisticsProtocol> {
  const tables = new Map<number, TableComputations>();
  return {
    async load({ table, name, bytes }) {
      const { summary, computations } = createCalibration(await readCalibrationFile(name, bytes));
      tables.set(table, computations);
      return { table, ...summary };
    },
    close({ table }) {
      tables.delete(table);
      return undefined;
    },
    compute({ name, table, request }, { pause }) {
      const computations = tables.get(table);
      if (computations === undefined) throw new Error('this calibration has been closed');
      const compute = computations[name] as Computation<StatisticName>;
      return compute(request, pause);
    },
    entropies: ({ maps, tokens }) => mapEntropies(maps, tokens),
  };
}

function mapEntropies(maps: Float32Array, tokens: number): MapEntropies {
  const patches = tokens === 0 ? 0 : maps.length / tokens;
  if (!Number.isInteger(patches)) throw new Error(`${maps.length} probabilities cannot be split into ${tokens} maps`);
  const [sum, kde, bernoulli] = entropyKinds.map((kind) =>
    Float64Array.from({ length: tokens }, (_, token) =>
      entropyOf(kind, maps.subarray(token * patches, (token + 1) * patches)),
    ),
  );
  return { sum: sum!, kde: kde!, bernoulli: bernoulli! };
}
