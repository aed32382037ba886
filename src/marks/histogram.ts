/** From a value to CSS pixels. */
type Scale = (value: number) => number;

/** The two classes of answers, in this order wherever both are drawn. */
type ClassName = 'right' | 'wrong';

/** One value of each class. */
export type ByClass<Value> = { readonly [Name in ClassName]: Value };

/** The bars of one class as one path from the height `baseCount`: `sign` -1 hangs them from it. */
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

/** The top of the bars of one class as one stepped line: what was there before anything was filtered away. */
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

/** The greatest count of a class's bins; 0 for none. */
export function greatestCount({ right, wrong }: ByClass<ArrayLike<number>>): ByClass<number> {
  return { right: greatest(right), wrong: greatest(wrong) };
}

/** The bin that holds `value`, the last one closed at its end; undefined outside of all. */
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

function greatest(values: ArrayLike<number>): number {
  let found = 0;
  for (let i = 0; i < values.length; i++) found = Math.max(found, values[i]!);
  return found;
}

/** Tenths of a pixel: a third of the text, and nothing that an eye sees. */
const round = (px: number) => Math.round(px * 10) / 10;
