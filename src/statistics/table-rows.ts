import type { CalibrationTable } from '../contract/calibration-table';
import { type AnswerValues, keyOf } from './answer-values';
import type { CalibrationRow, RowOrder, RowsPage, RowsRequest } from './api';
import type { TableFilter } from './table-filter';

/** A table's rows as a list: those that a filter leaves, in an order, a part at a time. */
export interface TableRows {
  page(request: RowsRequest): RowsPage;
}

const mostOrders = 8;

export function createTableRows(
  table: CalibrationTable,
  values: AnswerValues,
  filter: Pick<TableFilter, 'force' | 'leaves'>,
): TableRows {
  const orders = new Map<string, Uint32Array>();

  function ensureOrder(order: RowOrder): Uint32Array {
    const by = typeof order.by === 'string' ? order.by : keyOf(order.by);
    const key = `${by} ${order.descending}`;
    const found = orders.get(key) ?? sortedRows(table, values, order);
    orders.delete(key);
    orders.set(key, found);
    const [oldest] = orders.keys();
    if (orders.size > mostOrders && oldest !== undefined) orders.delete(oldest);
    return found;
  }

  return {
    page({ filter: wanted, order, offset, limit, values: shown }) {
      if (wanted) filter.force(wanted);
      const columns = shown.map((value) => values.of(value));
      const rows: CalibrationRow[] = [];
      let total = 0;
      for (const row of ensureOrder(order)) {
        if (wanted && !filter.leaves(row)) continue;
        if (total >= offset && rows.length < limit)
          rows.push({ ...rowOf(table, row), values: columns.map((column) => column[row]!) });
        total++;
      }
      return { total, rows };
    },
  };
}

/** Rows without a value come last either way; equal ones stay in the file's order. */
function sortedRows(table: CalibrationTable, values: AnswerValues, { by, descending }: RowOrder): Uint32Array {
  const rows = Uint32Array.from({ length: table.rows }, (_, row) => row);
  const sign = descending ? -1 : 1;
  if (by === 'file') return descending ? rows.reverse() : rows;
  if (by === 'question' || by === 'answer') {
    const texts = Array.from(rows, (row) => table[by].at(row)?.toLowerCase());
    return rows.sort((a, b) => compare(texts[a], texts[b], sign) || a - b);
  }
  if (by === 'set' || by === 'kind' || by === 'variety') {
    const { codes } = table[by];
    return rows.sort((a, b) => sign * (codes[a]! - codes[b]!) || a - b);
  }
  const V = by === 'correct' ? table.correct : values.of(by);
  return rows.sort((a, b) => compareNumbers(V[a]!, V[b]!, sign) || a - b);
}

function compare(a: string | undefined, b: string | undefined, sign: number): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  return a === b ? 0 : a < b ? -sign : sign;
}

function compareNumbers(a: number, b: number, sign: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a === b ? 0 : a < b ? -sign : sign;
}

function rowOf(table: CalibrationTable, row: number): Omit<CalibrationRow, 'values'> {
  const named = ({ names, codes }: { names: readonly string[]; codes: Uint16Array }) => names[codes[row]!] ?? '';
  const thumbnail = table.thumbnail[row]!;
  return {
    row,
    id: table.id.at(row) ?? String(row),
    set: named(table.set),
    kind: named(table.kind),
    variety: named(table.variety),
    question: table.question.at(row) ?? '',
    answer: table.answer.at(row) ?? '',
    reference: table.reference.at(row) ?? '',
    correct: table.correct[row]!,
    image: table.image.at(row),
    thumbnail: thumbnail >= 0 ? thumbnail : undefined,
    tokens: table.tokensAt(row),
  };
}
