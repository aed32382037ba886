/** Converts a value to CSS pixels. */
type Scale = (value: number) => number;

/** The two classes of answers, in drawing order. */
type ClassName = 'right' | 'wrong';

/** One value per class. */
export type ByClass<Value> = { readonly [Name in ClassName]: Value };

/** The bars of one class as a single SVG path, upwards from the baseline, or downwards if `sign` is -1. */
export function barsPathData(
  edges: ArrayLike<number>,
  counts: ArrayLike<number>,
  x: Scale,
  y: Scale,
  { sign = 1, gapPx = 1 }: { readonly sign?: 1 | -1; readonly gapPx?: number } = {},
): string {
  const basePx = y(0);
  let path = '';
  for (let bin = 0; bin < counts.length; bin++) {
    const count = counts[bin]!;
    if (!(count > 0)) continue;
    const left = x(edges[bin]!);
    const width = Math.max(0.5, x(edges[bin + 1]!) - left - gapPx);
    path += `M${round(left)} ${round(basePx)}h${round(width)}V${round(y(sign * count))}h${round(-width)}Z`;
  }
  return path;
}

/** The outline of one class's bars as a single stepped line, used to show the counts before filtering. */
export function stepsPathData(
  edges: ArrayLike<number>,
  counts: ArrayLike<number>,
  x: Scale,
  y: Scale,
  sign: 1 | -1 = 1,
): string {
  if (counts.length === 0) return '';
  let path = `M${round(x(edges[0]!))} ${round(y(0))}`;
  for (let bin = 0; bin < counts.length; bin++)
    path += `V${round(y(sign * counts[bin]!))}H${round(x(edges[bin + 1]!))}`;
  return `${path}V${round(y(0))}`;
}

/** The maximum count of each class; 0 if there are no bins. */
export function maxCounts({ right, wrong }: ByClass<ArrayLike<number>>): ByClass<number> {
  return { right: maxOf(right), wrong: maxOf(wrong) };
}

/** The index of the bin that contains `value`; the last bin includes its upper edge. Undefined outside all bins. */
export function binAt(edges: ArrayLike<number>, value: number): number | undefined {
  const last = edges.length - 1;
  if (!(value >= edges[0]! && value <= edges[last]!)) return undefined;
  let low = 0;
  let high = last - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (edges[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  return low;
}

function maxOf(values: ArrayLike<number>): number {
  let max = 0;
  for (let i = 0; i < values.length; i++) max = Math.max(max, values[i]!);
  return max;
}

/** Rounds to tenths of a pixel, which shrinks the path data to a third with no visible difference. */
const round = (px: number) => Math.round(px * 10) / 10;
