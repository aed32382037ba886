// The protocol of the statistics worker.
import type { CalibrationFile, LoadedCalibration, MapEntropies, StatisticName, TableStatistics } from './api';

/** `table` identifies a loaded table. */
export interface StatisticsProtocol {
  /** Table numbers come from the page, because a restarted worker would start again at 1. */
  load: { request: CalibrationFile & { readonly table: number }; response: LoadedCalibration };
  close: { request: { readonly table: number }; response: undefined };
  compute: { request: TableRequest; response: TableStatistics[StatisticName]['response'] };
  entropies: { request: { readonly maps: Float32Array; readonly tokens: number }; response: MapEntropies };
}

export type TableRequest = {
  readonly [Name in StatisticName]: {
    readonly name: Name;
    readonly table: number;
    readonly request: TableStatistics[Name]['request'];
  };
}[StatisticName];
