import type { CategoryColumn, TextColumn } from './calibration-table';
import { numberRemedy, parseNumber, truths } from './number-texts';

/** The values of row `row` are `values[starts[row]]` up to `values[starts[row + 1] - 1]`. */
export interface ListColumn {
  readonly starts: Uint32Array;
  /** NaN if a value is missing; booleans are 0 and 1. */
  readonly values: Float32Array;
}

/** `truth`: right and wrong, yes and no and booleans count as 1 and 0. */
export type NumberKind = 'number' | 'truth';

/** A table as stored in a file, before its columns are interpreted. Reading a column as the wrong type throws. */
export interface RawTable {
  readonly format: 'Arrow' | 'Parquet' | 'CSV';
  readonly rows: number;
  readonly names: readonly string[];
  /** The file's metadata by key. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Assumptions made in reading the file, as sentences for the user. */
  readonly notes: readonly string[];
  /** Names a row in messages: "line 3", "row 2 (counted from 0)". */
  place(row: number): string;
  isList(name: string): boolean;
  /** [rows], NaN if a value is missing. */
  numbers(name: string, kind?: NumberKind): Float64Array;
  texts(name: string): TextColumn;
  categories(name: string): CategoryColumn;
  lists(name: string, kind?: NumberKind): ListColumn;
  /** Returns a function that maps a row to the strings in its list. */
  textLists(name: string): (row: number) => readonly string[];
}

export const countedRow = (row: number) => `row ${row} (counted from 0)`;

const maxCategories = 1 << 16;

/** Assigns a code to each distinct string, in order of first appearance. */
export function categoriesOf(rows: number, textAt: (row: number) => string | undefined, name: string): CategoryColumn {
  const numbers = new Map<string, number>();
  const codes = new Uint16Array(rows);
  for (let row = 0; row < rows; row++) {
    const text = textAt(row) ?? '';
    let code = numbers.get(text);
    if (code === undefined) {
      code = numbers.size;
      if (code === maxCategories)
        throw new Error(
          `column ${name} has more than ${maxCategories} different values, too many for categories. Leave the column out`,
        );
      numbers.set(text, code);
    }
    codes[row] = code;
  }
  return { names: [...numbers.keys()], codes };
}

/** Reads a column's cells as lists of numbers. */
export function listsOf(
  rows: number,
  cellAt: (row: number) => unknown,
  name: string,
  kind: NumberKind = 'number',
): ListColumn {
  const starts = new Uint32Array(rows + 1);
  const cells = Array.from({ length: rows }, (_, row) => {
    const cell = cellAt(row) ?? [];
    if (!isArrayLike(cell))
      throw new Error(`column ${name} must hold lists, but ${countedRow(row)} has ${describe(cell)}`);
    starts[row + 1] = starts[row]! + cell.length;
    return cell;
  });
  const values = new Float32Array(starts[rows]!);
  cells.forEach((cell, row) => {
    for (let i = 0; i < cell.length; i++) values[starts[row]! + i] = numberOf(cell[i], name, row, kind);
  });
  return { starts, values };
}

/** Also accepts 64-bit integers and numbers as text; missing values become NaN. */
export function numberOf(cell: unknown, name: string, row: number, kind: NumberKind = 'number'): number {
  switch (typeof cell) {
    case 'number':
      return cell;
    case 'bigint':
      if (Number.isSafeInteger(Number(cell))) return Number(cell);
      throw new Error(`column ${name}, ${countedRow(row)}: ${cell} is too large to read exactly`);
    case 'string':
      return textNumber(cell, name, () => countedRow(row), kind);
    case 'undefined':
      return Number.NaN;
    default:
      if (cell === null) return Number.NaN;
      if (typeof cell === 'boolean' && kind === 'truth') return Number(cell);
      throw new Error(`column ${name} must hold numbers, but ${countedRow(row)} has ${describe(cell)}`);
  }
}

/** Reads a number from text; throws if it is not one. */
export function textNumber(
  text: string,
  name: string,
  place: () => string,
  kind: NumberKind,
  mark: '.' | ',' = '.',
): number {
  const value = parseNumber(text, mark) ?? (kind === 'truth' ? truths.get(text.trim().toLowerCase()) : undefined);
  if (value !== undefined) return value;
  const accepted = kind === 'truth' ? 'numbers from 0 to 1, or yes and no, true and false, right and wrong' : 'numbers';
  throw new Error(`column ${name} must hold ${accepted}, but ${place()} has ${describe(text)}${numberRemedy(text)}`);
}

export function textOf(cell: unknown): string | undefined {
  if (cell === null || cell === undefined) return undefined;
  return cell instanceof Date ? cell.toISOString() : String(cell);
}

export function isArrayLike(cell: unknown): cell is ArrayLike<unknown> {
  return typeof cell === 'object' && cell !== null && 'length' in cell && typeof cell.length === 'number';
}

function describe(cell: unknown): string {
  if (typeof cell === 'string') return `"${cell.length > 40 ? `${cell.slice(0, 40)}…` : cell}"`;
  if (typeof cell === 'boolean') return String(cell);
  if (cell instanceof Date) return 'a date';
  return isArrayLike(cell) ? 'a list' : `a value of type ${typeof cell}`;
}
