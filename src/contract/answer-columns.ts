// The numeric columns of a table of answers, checked: values that cannot be right are refused, and values that cannot be
// used become NaN and are counted in a note.
import { formatCount } from '../text/number-format';
import type { ListColumn, RawTable } from './raw-table';

/** [rows], 0 to 1; NaN if unknown. */
export function scoresOf(raw: RawTable, name: string): Float32Array {
  const scores = raw.numbers(name, 'truth');
  const row = scores.findIndex((score) => score < 0 || score > 1);
  if (row >= 0)
    throw new Error(`column ${name} must hold values from 0 to 1, but ${raw.place(row)} has ${scores[row]}`);
  return Float32Array.from(scores);
}

/** [rows], whole numbers of at least 0; NaN if unknown. */
export function countsOf(raw: RawTable, name: string): Float32Array {
  const counts = raw.numbers(name);
  const row = counts.findIndex((count) => !Number.isNaN(count) && !(Number.isInteger(count) && count >= 0));
  if (row >= 0)
    throw new Error(
      `column ${name} must hold whole numbers of tokens, but ${raw.place(row)} has ${counts[row]}. Leave the cell empty if the number is unknown`,
    );
  return Float32Array.from(counts);
}

/** Room for rounding above 0. */
const maxLogProb = 1e-3;

/**
 * Checks log-probabilities, in nats, one or several per row. -Infinity is the log-probability of an impossible token;
 * Infinity becomes NaN.
 */
export function checkedLogProbs(raw: RawTable, name: string, { starts, values }: ListColumn, notes: string[]) {
  const at = values.findIndex((value) => value > maxLogProb && value < Number.POSITIVE_INFINITY);
  if (at >= 0)
    throw new Error(
      `column ${name} must hold log-probabilities, which are at most 0, but ${raw.place(rowAt(starts, at))} has ${round(values[at]!)}. Take the natural logarithm of probabilities, and change the sign of losses`,
    );
  return finite(name, values, (value) => value === Number.POSITIVE_INFINITY, notes);
}

/** Infinite entropies become NaN. */
export function checkedEntropies(name: string, { values }: ListColumn, notes: string[]) {
  return finite(name, values, (value) => Math.abs(value) === Number.POSITIVE_INFINITY, notes);
}

function finite(name: string, values: Float32Array, isUnusable: (value: number) => boolean, notes: string[]) {
  const count = values.reduce((sum, value) => sum + (isUnusable(value) ? 1 : 0), 0);
  if (count === 0) return values;
  notes.push(`Column ${name} has ${formatCount(count, 'infinite value', 'infinite values')}, treated as unknown.`);
  return values.map((value) => (isUnusable(value) ? Number.NaN : value));
}

/** One value per row, as lists of one. */
export function listOfOnes(values: Float64Array): ListColumn {
  return {
    starts: Uint32Array.from({ length: values.length + 1 }, (_, row) => row),
    values: Float32Array.from(values),
  };
}

const rowAt = (starts: Uint32Array, at: number) => starts.findLastIndex((start) => start <= at);

const round = (value: number) => Number(value.toPrecision(6));
