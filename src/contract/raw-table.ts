import type { CategoryColumn, TextColumn } from './calibration-table';

/** The tokens of row `row` are `starts[row]` to `starts[row + 1]` of the values. */
export interface ListColumn {
  readonly starts: Uint32Array;
  /** NaN where one is missing; 0 and 1 for yes and no. */
  readonly values: Float32Array;
}

/** A table as a file has it, before it is known what its columns mean. A column of another kind throws, saying which. */
export interface RawTable {
  readonly format: 'Arrow' | 'Parquet' | 'CSV';
  readonly rows: number;
  readonly names: readonly string[];
  /** What the file says of itself, by key. */
  readonly metadata: ReadonlyMap<string, string>;
  isList(name: string): boolean;
  /** [rows], NaN where one is missing. */
  numbers(name: string): Float64Array;
  texts(name: string): TextColumn;
  categories(name: string): CategoryColumn;
  lists(name: string): ListColumn;
  /** Texts of a row's list. */
  textLists(name: string): (row: number) => readonly string[];
}

const mostCategories = 1 << 16;

/** Numbers texts in the order in which they first come. */
export function categoriesOf(rows: number, textAt: (row: number) => string | undefined, name: string): CategoryColumn {
  const numbers = new Map<string, number>();
  const codes = new Uint16Array(rows);
  for (let row = 0; row < rows; row++) {
    const text = textAt(row) ?? '';
    let code = numbers.get(text);
    if (code === undefined) {
      code = numbers.size;
      if (code === mostCategories)
        throw new Error(`its column ${name} has more than ${mostCategories} different values: it sorts into nothing`);
      numbers.set(text, code);
    }
    codes[row] = code;
  }
  return { names: [...numbers.keys()], codes };
}

/** What a column of whatever values holds as lists. */
export function listsOf(rows: number, cellAt: (row: number) => unknown, name: string): ListColumn {
  const starts = new Uint32Array(rows + 1);
  const cells = Array.from({ length: rows }, (_, row) => {
    const cell = cellAt(row) ?? [];
    if (!isArrayLike(cell)) throw new Error(`its column ${name} holds ${describe(cell)} in row ${row}, not a list`);
    starts[row + 1] = starts[row]! + cell.length;
    return cell;
  });
  const values = new Float32Array(starts[rows]!);
  cells.forEach((cell, row) => {
    for (let i = 0; i < cell.length; i++) values[starts[row]! + i] = numberOf(cell[i], name, row);
  });
  return { starts, values };
}

/** Whole numbers of 64 bits and yes/no too; NaN for what is missing. */
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
      throw new Error(`its column ${name} holds ${describe(cell)} in row ${row}, not a number`);
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
  return isArrayLike(cell) ? 'a list' : typeof cell;
}
