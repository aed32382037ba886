import { scaleLog } from 'd3-scale';
import { line } from 'd3-shape';

/** One explanation that was measured: so many tokens together, so many milliseconds. */
export interface CostPoint {
  readonly tokens: number;
  readonly ms: number;
}

export interface CostSeries {
  readonly name: string;
  readonly points: readonly CostPoint[];
}

export interface ChartSize {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly margin: { readonly top: number; readonly right: number; readonly bottom: number; readonly left: number };
}

interface CostTick {
  readonly value: number;
  readonly atPx: number;
}

export interface CostChart {
  readonly xTicks: readonly CostTick[];
  readonly yTicks: readonly CostTick[];
  readonly series: readonly {
    readonly name: string;
    readonly points: readonly { readonly xPx: number; readonly yPx: number; readonly point: CostPoint }[];
    /** SVG path data through the median of each number of tokens; empty with one. */
    readonly path: string;
    /** Where its name stands: right of its last point, moved until no two names touch. */
    readonly label: { readonly xPx: number; readonly yPx: number };
  }[];
}

const labelHeightPx = 15;

/** Milliseconds against tokens on log axes. Series without points are left out; undefined where none has any. */
export function layOutCostChart(all: readonly CostSeries[], size: ChartSize): CostChart | undefined {
  const series = all.filter(({ points }) => points.length > 0);
  const points = series.flatMap((one) => one.points);
  if (points.length === 0) return undefined;
  const { widthPx, heightPx, margin } = size;
  const x = scaleLog()
    .domain(decades(points.map(({ tokens }) => tokens)))
    .range([margin.left, widthPx - margin.right]);
  const y = scaleLog()
    .domain(decades(points.map(({ ms }) => shownMs(ms))))
    .range([heightPx - margin.bottom, margin.top]);
  const place = (point: CostPoint) => ({ xPx: x(point.tokens), yPx: y(shownMs(point.ms)), point });
  const throughMedians = line<CostPoint>()
    .x(({ tokens }) => x(tokens))
    .y(({ ms }) => y(shownMs(ms)));

  const placed = series.map(({ name, points: own }) => {
    const medians = mediansByTokens(own);
    const last = place(medians.at(-1)!);
    return {
      name,
      points: own.map(place),
      path: medians.length > 1 ? (throughMedians(medians) ?? '') : '',
      label: { xPx: last.xPx + 8, yPx: last.yPx },
    };
  });
  const apart = spread(
    placed.map(({ label }) => label.yPx),
    labelHeightPx,
    { least: margin.top, most: heightPx - margin.bottom },
  );
  return {
    xTicks: powersWithin(x.domain()).map((value) => ({ value, atPx: x(value) })),
    yTicks: powersWithin(y.domain()).map((value) => ({ value, atPx: y(value) })),
    series: placed.map((one, i) => ({ ...one, label: { ...one.label, yPx: apart[i]! } })),
  };
}

/** The median cost of each number of tokens, fewest tokens first. */
export function mediansByTokens(points: readonly CostPoint[]): CostPoint[] {
  const byTokens = new Map<number, number[]>();
  for (const { tokens, ms } of points) byTokens.set(tokens, [...(byTokens.get(tokens) ?? []), ms]);
  return [...byTokens]
    .sort(([a], [b]) => a - b)
    .map(([tokens, costs]) => {
      const ascending = costs.sort((a, b) => a - b);
      const middle = (ascending.length - 1) / 2;
      return { tokens, ms: (ascending[Math.floor(middle)]! + ascending[Math.ceil(middle)]!) / 2 };
    });
}

/** A log axis has no 0: what is below the clock's own steps stands at 0.01 ms. */
function shownMs(ms: number): number {
  return Math.max(0.01, ms);
}

/** The whole powers of ten around the values; at least one of them. */
function decades(values: readonly number[]): [number, number] {
  const least = 10 ** Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const most = 10 ** Math.ceil(Math.log10(Math.max(...values)) - 1e-9);
  return [least, most > least ? most : least * 10];
}

function powersWithin([least = 1, most = 1]: readonly number[]): number[] {
  const powers: number[] = [];
  for (let value = least; value <= most * 1.001; value *= 10) powers.push(Number(value.toPrecision(1)));
  return powers;
}

/** Positions moved as little as needed so that neighbours are `gap` apart, in their order; within the bounds while there is room. */
export function spread(
  positions: readonly number[],
  gap: number,
  { least, most }: { readonly least: number; readonly most: number },
): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => positions[a]! - positions[b]!);
  const moved = [...positions];
  let floor = least;
  for (const i of order) {
    moved[i] = Math.max(moved[i]!, floor);
    floor = moved[i]! + gap;
  }
  let ceiling = most;
  for (const i of [...order].reverse()) {
    moved[i] = Math.min(moved[i]!, ceiling);
    ceiling = moved[i]! - gap;
  }
  return moved;
}
