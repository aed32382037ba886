// What the page asks the statistics' worker.
import type { CalibrationFile, LoadedCalibration, MapEntropies, StatisticName, TableStatistics } from './api';

/** `table` is the number of a loaded table. */
export interface StatisticsQuestions {
  /** The page numbers tables: a worker that takes the place of a dead one would begin again at 1. */
  load: { asks: CalibrationFile & { readonly table: number }; answers: LoadedCalibration };
  close: { asks: { readonly table: number }; answers: undefined };
  compute: { asks: TableQuestion; answers: TableStatistics[StatisticName]['answers'] };
  entropies: { asks: { readonly maps: Float32Array; readonly tokens: number }; answers: MapEntropies };
}

export type TableQuestion = {
  readonly [Name in StatisticName]: {
    readonly name: Name;
    readonly table: number;
    readonly request: TableStatistics[Name]['asks'];
  };
}[StatisticName];
