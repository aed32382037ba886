import type { CalibrationTable, CategoryColumn } from '../contract/calibration-table';
import { evenEdges, wholeEdges } from '../math/statistics/histogram';
import { createLinkedFilter, type LinkedColumn, type LinkedFilter } from '../math/statistics/linked-filter';
import type { AnswerValues } from './answer-values';
import type { ChartCounts, ClassCounts, FilterChart, FilterChoice, Filtered, FilterRequest } from './api';

/** The linked charts and search of one table. Keeps state between requests, so moving a brush costs only the change. */
export interface TableFilter {
  apply(request: FilterRequest): Filtered;
  /** Applies the filter without counting; `leaves` then uses it. */
  force(request: FilterRequest): void;
  /** Whether a row passes the last applied or forced filter; true for all rows before the first one. */
  leaves(row: number): boolean;
}

const classes = 3;
const classNames = ['wrong', 'right', 'unscored'];

/** `classOf` [rows]: an index into `classNames`. */
export function createTableFilter(table: CalibrationTable, classOf: Uint8Array, values: AnswerValues): TableFilter {
  let shown: Shown | undefined;
  let linked: LinkedFilter | undefined;
  let search: string | undefined;
  let texts: string[] | undefined;

  const columnOf = (chart: FilterChart): LinkedColumn => {
    if ('value' in chart) {
      const V = values.of(chart.value);
      const [from, to] = chart.extent ?? extentOf([V]);
      // If all lengths are equal, the extent reaches half a token to either side.
      const isWhole = chart.value.of === 'length' && chart.extent === undefined;
      return {
        values: V,
        edges: isWhole
          ? wholeEdges(Math.floor(from + 0.5), Math.ceil(to - 0.5), chart.bins)
          : evenEdges(from, to, chart.bins),
      };
    }
    const { codes, names } = categoryOf(chart.category);
    return { codes, bins: names.length };
  };
  const categoryOf = (
    category: 'set' | 'kind' | 'variety' | 'correct',
  ): Pick<CategoryColumn, 'names'> & { codes: ArrayLike<number> } =>
    category === 'correct' ? { names: classNames, codes: classOf } : table[category];

  function ensureLinked(charts: readonly FilterChart[]): { linked: LinkedFilter; shown: Shown } {
    const key = JSON.stringify(charts);
    if (linked !== undefined && shown?.key === key) return { linked, shown };
    const columns = charts.map(columnOf);
    linked = createLinkedFilter(columns, classOf, classes);
    shown = { key, columns, choices: charts.map(() => undefined), leftOut: columns.map(leftOutOf) };
    search = undefined;
    return { linked, shown };
  }

  function matchesOf(needle: string): Uint8Array {
    texts ??= Array.from({ length: table.rows }, (_, row) =>
      [table.question.at(row), table.answer.at(row), table.reference.at(row)].join('\n').toLowerCase(),
    );
    return Uint8Array.from(texts, (text) => (text.includes(needle) ? 1 : 0));
  }

  function applyFilter({ charts, choices, search: text }: FilterRequest): { linked: LinkedFilter; shown: Shown } {
    const now = ensureLinked(charts);
    charts.forEach((chart, column) => {
      const choice = choices[chart.id];
      const key = JSON.stringify(choice);
      if (now.shown.choices[column] === key) return;
      now.shown.choices[column] = key;
      const names = 'category' in chart ? categoryOf(chart.category).names : undefined;
      choose(now.linked, column, choice, names, now.shown.columns[column]!);
    });
    const needle = text?.trim().toLowerCase() || undefined;
    if (needle !== search) {
      search = needle;
      now.linked.keepRows(needle === undefined ? undefined : matchesOf(needle));
    }
    return now;
  }

  return {
    apply(request) {
      const from = performance.now();
      const { charts } = request;
      const now = applyFilter(request);
      const { byColumn, outside, left } = now.linked.counts();
      return {
        charts: charts.map((chart, column) => ({
          ...chartCounts(chart, now.shown, column, byColumn[column]!, categoryOf),
          below: byClassOf(outside[column]!.below),
          above: byClassOf(outside[column]!.above),
        })),
        rows: left.reduce((sum, count) => sum + count, 0),
        wrong: left[0]!,
        right: left[1]!,
        computeMs: performance.now() - from,
      };
    },
    force: (request) => void applyFilter(request),
    leaves: (row) => linked?.keeps(row) ?? true,
  };
}

interface Shown {
  readonly key: string;
  readonly columns: readonly LinkedColumn[];
  /** As last applied, in JSON. */
  readonly choices: (string | undefined)[];
  readonly leftOut: readonly number[];
}

function choose(
  linked: LinkedFilter,
  column: number,
  choice: FilterChoice | undefined,
  names: readonly string[] | undefined,
  source: LinkedColumn,
) {
  if (choice === undefined) linked.keepAll(column);
  else if ('range' in choice) {
    const [from, to] = choice.range;
    const edges = 'edges' in source ? source.edges : [];
    const [start = Number.NEGATIVE_INFINITY, end = Number.POSITIVE_INFINITY] = [edges.at(0), edges.at(-1)];
    linked.keepRange(
      column,
      from <= start ? Number.NEGATIVE_INFINITY : from,
      to >= end ? Number.POSITIVE_INFINITY : to,
    );
  } else
    linked.keepCodes(
      column,
      Uint8Array.from(names ?? [], (name) => (choice.names.includes(name) ? 1 : 0)),
    );
}

function chartCounts(
  chart: FilterChart,
  { columns, leftOut }: Shown,
  column: number,
  counts: Uint32Array,
  categoryOf: (category: 'set' | 'kind' | 'variety' | 'correct') => Pick<CategoryColumn, 'names'>,
): Omit<ChartCounts, 'below' | 'above'> {
  const source = columns[column]!;
  const ofClass = (cls: number) => counts.filter((_, slot) => slot % classes === cls);
  return {
    id: chart.id,
    edges: 'edges' in source ? source.edges : undefined,
    names: 'category' in chart ? categoryOf(chart.category).names : undefined,
    wrong: ofClass(0),
    right: ofClass(1),
    unscored: ofClass(2),
    leftOut: leftOut[column]!,
  };
}

/** The classes in the order of `classNames`. */
function byClassOf([wrong = 0, right = 0, unscored = 0]: Uint32Array): ClassCounts {
  return { wrong, right, unscored };
}

function leftOutOf(column: LinkedColumn): number {
  if ('codes' in column) return 0;
  let n = 0;
  for (let row = 0; row < column.values.length; row++) if (Number.isNaN(column.values[row]!)) n++;
  return n;
}

/** From the smallest to the largest finite value; ± 0.5 around a single value; 0 to 1 if there is no finite value. */
export function extentOf(columns: readonly Float64Array[]): readonly [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const values of columns)
    for (const value of values) {
      if (value < low && value !== Number.NEGATIVE_INFINITY) low = value;
      if (value > high && value !== Number.POSITIVE_INFINITY) high = value;
    }
  if (low > high) return [0, 1];
  if (low < high) return [low, high];
  // Half a unit is less than the rounding error of a large value.
  const room = Math.max(0.5, Math.abs(low) * 1e-6);
  return [Math.max(-Number.MAX_VALUE, low - room), Math.min(Number.MAX_VALUE, high + room)];
}
