import { formatCount } from '../text/number-format';
import { dialectOf } from './csv-dialect';
import { parseCsv } from './csv-records';
import { createMarkFinder, type DecimalMark } from './number-texts';
import { categoriesOf, type RawTable, textNumber } from './raw-table';

/** `knownColumns` help to find the separator; `numberColumns` those whose numbers show the decimal mark. */
export interface CsvColumns {
  readonly knownColumns: ReadonlySet<string>;
  readonly numberColumns: ReadonlySet<string>;
}

/** Reads text separated by commas, semicolons, tabs or bars, with decimal points or commas. */
export function readCsvTable(text: string, { knownColumns, numberColumns }: CsvColumns): RawTable {
  const { separator, from, firstLine } = dialectOf(text, knownColumns);
  const parsed = parseCsv(text.slice(from), separator, firstLine);
  const names = (parsed.cells[0] ?? []).map((name) => name.trim());
  const isFilled = parsed.cells.map((record, i) => i > 0 && record.some((cell) => cell.trim() !== ''));
  const records = parsed.cells.filter((_, i) => isFilled[i]);
  const lines = parsed.lines.filter((_, i) => isFilled[i]);
  const rows = records.length;
  const place = (row: number) => `line ${lines[row]}`;
  checkWidths(records, names, separator, place);
  const mark = decimalMarkOf();

  function decimalMarkOf(): DecimalMark {
    const finder = createMarkFinder(separator === ',');
    names.forEach((name, column) => {
      if (!numberColumns.has(name)) return;
      records.forEach((record, row) => {
        finder.add(record[column] ?? '', () => `column ${name}, ${place(row)}`);
      });
    });
    return finder.mark();
  }

  const ensureColumn = (name: string): number => {
    const column = names.indexOf(name);
    if (column < 0) throw new Error(`it has no column ${name}`);
    return column;
  };
  const textAt = (row: number, column: number) => records[row]?.[column]?.trim() || undefined;
  return {
    format: 'CSV',
    rows,
    names,
    metadata: new Map(),
    notes: mark === ',' ? ['Its numbers were read with a decimal comma.'] : [],
    place,
    isList: () => false,
    numbers(name, kind = 'number') {
      const column = ensureColumn(name);
      return Float64Array.from(records, (record, row) => {
        const cell = record[column];
        if (cell === undefined)
          throw new Error(
            `${place(row)} has ${cellsOf(record)}, too few to have one in column ${name}. Fill it up with empty cells`,
          );
        return textNumber(cell, name, () => place(row), kind, mark);
      });
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

const cellsOf = (record: readonly string[]) => formatCount(record.length, 'cell', 'cells');

/** Cells beyond the header would mean that others are in the wrong column. */
function checkWidths(
  records: readonly (readonly string[])[],
  names: readonly string[],
  separator: string,
  place: (row: number) => string,
): void {
  const row = records.findIndex((record) => record.slice(names.length).some((cell) => cell.trim() !== ''));
  if (row < 0) return;
  const remedies = [
    'Quote cells that contain the separator',
    ...(separator === ',' ? ['or separate cells by semicolons if the decimal mark is a comma'] : []),
    ...(records.every((record) => record.length === names.length + 1)
      ? ['or give the first column a name (in R, write.csv does)']
      : []),
  ];
  throw new Error(
    `${place(row)} has ${cellsOf(records[row]!)}, but the header has ${names.length}. ${remedies.join(', ')}`,
  );
}
