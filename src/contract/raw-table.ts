import type { CategoryColumn, TextColumn } from './calibration-table';

/** The values of row `row` are `values[starts[row]]` up to `values[starts[row + 1] - 1]`. */
export interface ListColumn {
  readonly starts: Uint32Array;
  /** NaN if a value is missing; booleans are 0 and 1. */
  readonly values: Float32Array;
}

/** A table as stored in a file, before its columns are interpreted. Reading a column as the wrong type throws. */
export interface RawTable {
  readonly format: 'Arrow' | 'Parquet' | 'CSV';
  readonly rows: number;
  readonly names: readonly string[];
  /** The file's metadata by key. */
  readonly metadata: ReadonlyMap<string, string>;
  isList(name: string): boolean;
  /** [rows], NaN if a value is missing. */
  numbers(name: string): Float64Array;
  texts(name: string): TextColumn;
  categories(name: string): CategoryColumn;
  lists(name: string): ListColumn;
  /** Returns a function that maps a row to the strings in its list. */
  textLists(name: string): (row: number) => readonly string[];
}

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
        throw new Error(`column ${name} has more than ${maxCategories} different values, too many for categories`);
      numbers.set(text, code);
    }
    codes[row] = code;
  }
  return { names: [...numbers.keys()], codes };
}

/** Reads a column's cells as lists of numbers. */
export function listsOf(rows: number, cellAt: (row: number) => unknown, name: string): ListColumn {
  const starts = new Uint32Array(rows + 1);
  const cells = Array.from({ length: rows }, (_, row) => {
    const cell = cellAt(row) ?? [];
    if (!isArrayLike(cell)) throw new Error(`column ${name} must hold lists, but row ${row} has ${describe(cell)}`);
    starts[row + 1] = starts[row]! + cell.length;
    return cell;
  });
  const values = new Float32Array(starts[rows]!);
  cells.forEach((cell, row) => {
    for (let i = 0; i < cell.length; i++) values[starts[row]! + i] = numberOf(cell[i], name, row);
  });
  return { starts, values };
}

/** Also accepts 64-bit integers and booleans; missing values become NaN. */
export function numberOf(cell: unknown, name: string, row: number): number {
  switch (typeof cell) {
    case 'number':
      return cell;
    case 'bigint':
    case 'boolean':
      return Number(cell);
    case 'undefined':
      return Number.NaN;
    default:
      if (cell === null) return Number.NaN;
      throw new Error(`column ${name} must hold numbers, but row ${row} has ${describe(cell)}`);
  }
}

export function textOf(cell: unknown): string | undefined {
  return cell === null || cell === undefined ? undefined : String(cell);
}

export function isArrayLike(cell: unknown): cell is ArrayLike<unknown> {
  return typeof cell === 'object' && cell !== null && 'length' in cell && typeof cell.length === 'number';
}

export function describe(cell: unknown): string {
  if (typeof cell === 'string') return `"${cell.length > 40 ? `${cell.slice(0, 40)}…` : cell}"`;
  return isArrayLike(cell) ? 'a list' : `a value of type ${typeof cell}`;
}
