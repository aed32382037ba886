import { dsvFormat } from 'd3-dsv';
import { categoriesOf, describe, type RawTable } from './raw-table';

const missing = new Set(['', 'nan', 'null', 'none', 'na', 'n/a']);
const truths = new Map([
  ['true', 1],
  ['yes', 1],
  ['right', 1],
  ['false', 0],
  ['no', 0],
  ['wrong', 0],
]);

/** Reads CSV separated by commas, semicolons or tabs: whichever is most frequent in the first line. */
export function readCsvTable(text: string): RawTable {
  const line = text.slice(0, text.indexOf('\n') + 1 || text.length);
  const [delimiter] = [',', ';', '\t'].toSorted((a, b) => line.split(b).length - line.split(a).length);
  // Parse rows as arrays: d3-dsv builds row objects with generated code, which the page's security policy forbids.
  const [head, ...cells] = dsvFormat(delimiter!).parseRows(text);
  const names = (head ?? []).map((name) => name.trim());
  const filled = cells.filter((row) => row.some((cell) => cell.trim() !== ''));
  const rows = filled.length;
  const ensureColumn = (name: string): number => {
    const column = names.indexOf(name);
    if (column < 0) throw new Error(`it has no column ${name}`);
    return column;
  };
  const textAt = (row: number, column: number) => filled[row]?.[column]?.trim() || undefined;
  return {
    format: 'CSV',
    rows,
    names,
    metadata: new Map(),
    isList: () => false,
    numbers(name) {
      const column = ensureColumn(name);
      return Float64Array.from({ length: rows }, (_, row) => csvNumber(textAt(row, column) ?? '', name, row));
    },
    texts(name) {
      const column = ensureColumn(name);
      return { at: (row) => textAt(row, column) };
    },
    categories(name) {
      const column = ensureColumn(name);
      return categoriesOf(rows, (row) => textAt(row, column), name);
    },
    lists(name) {
      throw new Error(`column ${name} does not hold lists`);
    },
    textLists: () => () => [],
  };
}

function csvNumber(text: string, name: string, row: number): number {
  const plain = text.toLowerCase();
  if (missing.has(plain)) return Number.NaN;
  const value = truths.get(plain) ?? Number(text);
  // The header is line 1.
  if (Number.isNaN(value))
    throw new Error(`column ${name} must hold numbers, but line ${row + 2} has ${describe(text)}`);
  return value;
}
