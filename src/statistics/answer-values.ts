import type { CalibrationTable } from '../contract/calibration-table';
import { poolAnswers } from '../math/statistics/pooling';
import type { AnswerValue } from './api';

/** A table's answers as one number each. */
export interface AnswerValues {
  /** [rows]; not to be written to. Throws where the table lacks what it is made of. */
  of(value: AnswerValue): Float64Array;
}

/** Kept: what charts, sorting and densities ask for again and again. */
const mostKept = 32;

export function createAnswerValues(table: CalibrationTable): AnswerValues {
  const kept = new Map<string, Float64Array>();
  return {
    of(value) {
      const key = keyOf(value);
      const found = kept.get(key) ?? valuesOf(table, value);
      kept.delete(key);
      kept.set(key, found);
      const [oldest] = kept.keys();
      if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
      return found;
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
