import { scaleLog } from 'd3-scale';
import { line } from 'd3-shape';

/** The measured cost of one explanation: how many tokens were explained together, and how long that took. */
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
    /** SVG path data of a line through the median for each token count; empty if there is only one token count. */
    readonly path: string;
    /** Position of the series name: to the right of the last point, shifted so that names do not overlap. */
    readonly label: { readonly xPx: number; readonly yPx: number };
  }[];
}

const labelHeightPx = 15;

/** Plots milliseconds against tokens on log axes. Omits series without points; returns undefined if no points remain. */
export function layOutCostChart(all: readonly CostSeries[], size: ChartSize): CostChart | undefined {
  const series = all.filter(({ points }) => points.length > 0);
  const points = series.flatMap((item) => item.points);
  if (points.length === 0) return undefined;
  const { widthPx, heightPx, margin } = size;
  const x = scaleLog()
    .domain(decades(points.map(({ tokens }) => tokens)))
    .range([margin.left, widthPx - margin.right]);
  const y = scaleLog()
    .domain(decades(points.map(({ ms }) => shownMs(ms))))
    .range([heightPx - margin.bottom, margin.top]);
  const positioned = (point: CostPoint) => ({ xPx: x(point.tokens), yPx: y(shownMs(point.ms)), point });
  const throughMedians = line<CostPoint>()
    .x(({ tokens }) => x(tokens))
    .y(({ ms }) => y(shownMs(ms)));

  const laidOut = series.map(({ name, points: costs }) => {
    const medians = mediansByTokens(costs);
    const last = positioned(medians.at(-1)!);
    return {
      name,
      points: costs.map(positioned),
      path: medians.length > 1 ? (throughMedians(medians) ?? '') : '',
      label: { xPx: last.xPx + 8, yPx: last.yPx },
    };
  });
  const labelYs = spread(
    laidOut.map(({ label }) => label.yPx),
    labelHeightPx,
    { min: margin.top, max: heightPx - margin.bottom },
  );
  return {
    xTicks: powersWithin(x.domain()).map((value) => ({ value, atPx: x(value) })),
    yTicks: powersWithin(y.domain()).map((value) => ({ value, atPx: y(value) })),
    series: laidOut.map((item, i) => ({ ...item, label: { ...item.label, yPx: labelYs[i]! } })),
  };
}

/** The median cost for each token count, in ascending order of token count. */
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

/** A log axis cannot show 0, so times too short to measure are drawn at 0.01 ms. */
function shownMs(ms: number): number {
  return Math.max(0.01, ms);
}

/** The narrowest range of powers of ten that contains the values; at least one decade. */
function decades(values: readonly number[]): [number, number] {
  const min = 10 ** Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const max = 10 ** Math.ceil(Math.log10(Math.max(...values)) - 1e-9);
  return [min, max > min ? max : min * 10];
}

function powersWithin([min = 1, max = 1]: readonly number[]): number[] {
  const powers: number[] = [];
  for (let value = min; value <= max * 1.001; value *= 10) powers.push(Number(value.toPrecision(1)));
  return powers;
}

/** Moves neighbours at least `gap` apart without changing their order, and within the bounds if there is room. */
export function spread(
  positions: readonly number[],
  gap: number,
  { min, max }: { readonly min: number; readonly max: number },
): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => positions[a]! - positions[b]!);
  const moved = [...positions];
  let floor = min;
  for (const i of order) {
    moved[i] = Math.max(moved[i]!, floor);
    floor = moved[i]! + gap;
  }
  let ceiling = max;
  for (const i of [...order].reverse()) {
    moved[i] = Math.min(moved[i]!, ceiling);
    ceiling = moved[i]! - gap;
  }
  return moved;
}
