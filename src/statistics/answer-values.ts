import type { CalibrationTable } from '../contract/calibration-table';
import { poolAnswers } from '../math/statistics/pooling';
import { createRecent } from '../workers/recent';
import type { AnswerValue } from './api';

/** Pools a table's token values into one number per answer. */
export interface AnswerValues {
  /** [rows]; read-only. Throws if the table does not have the token values. */
  of(value: AnswerValue): Float64Array;
}

/** Maximum number of cached columns; charts, sorting and densities request the same columns repeatedly. */
const maxCached = 32;

export function createAnswerValues(table: CalibrationTable): AnswerValues {
  const cache = createRecent<Float64Array>(maxCached);
  return {
    of(value) {
      const key = keyOf(value);
      return cache.get(key) ?? cache.keep(key, valuesOf(table, value));
    },
  };
}

export function keyOf(value: AnswerValue): string {
  switch (value.of) {
    case 'length':
      return 'length';
    case 'logProb':
      return `logProb ${value.pooling}`;
    case 'entropy':
      return `entropy ${value.kind} ${value.pooling}`;
  }
}

function valuesOf(table: CalibrationTable, value: AnswerValue): Float64Array {
  if (value.of === 'length') return Float64Array.from(table.length);
  const tokens = value.of === 'entropy' ? table.entropies[value.kind] : table.logProbs;
  if (tokens === undefined)
    throw new Error(
      `This calibration has no ${value.of === 'entropy' ? `entropy "${value.kind}"` : 'log-probabilities'}.`,
    );
  return poolAnswers(tokens, table.starts, table.isContent, value.pooling);
}
