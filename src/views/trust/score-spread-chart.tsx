import { scaleLinear, scaleSymlog } from 'd3-scale';
import type { HeadReport, ScoreSpread } from '../../contract/head-report';
import { formatShortCount } from '../../marks/axis';
import { binAt, stepsPathData } from '../../marks/histogram';
import { intervalsPathData } from '../../marks/interval';
import { formatCount, formatValue, formatWhole } from '../../text/number-format';
import { ChartFrame, type Margins } from '../charts/chart-frame';
import { BottomAxis, LeftAxis } from '../charts/chart-parts';
import { useWidth } from '../charts/use-width';

const margins: Margins = { top: 26, right: 12, bottom: 38, left: 42 };
const heightPx = 260;

interface ScoreSpreadChartProps {
  readonly report: HeadReport;
  readonly spread: ScoreSpread;
}

/** How patch scores are spread below their map's maximum, for each maker of maps, as in the paper's histogram. */
export function ScoreSpreadChart({ report, spread }: ScoreSpreadChartProps) {
  const [plot, widthPx] = useWidth<HTMLDivElement>();
  const { edges, patches } = spread;
  const makers = Object.entries(spread.shares).map(([name, shares]) => ({ name, shares }));
  const below = makers.map(({ name, shares: [first] }) => `${percent(first)} of ${name}’s`);
  const x = scaleLinear([0, 1], [margins.left, Math.max(margins.left, widthPx - margins.right)]);
  return (
    <ChartFrame
      title="Patch scores relative to their map’s maximum"
      note={`${formatCount(patches, 'patch', 'patches')} of held-out answers, log scale, with 95 % intervals over scenes. Below ${formatValue(edges[1] ?? 0)}: ${below.join(', ')}.`}
      heightPx={heightPx}
      widthPx={widthPx}
      margins={margins}
      plot={plot}
      description="Histogram of patch scores relative to their map’s maximum, on a logarithmic scale."
      readout={{
        axis: 'of the maximum',
        domain: [0, 1],
        step: edges[1] ?? 0.05,
        textAt: (at) => {
          const bin = binAt(edges, at) ?? 0;
          const counts = makers.map(({ name, shares }) => `${name} ${percent(shares[bin])}`);
          return `${formatValue(edges[bin]!)} to ${formatValue(edges[bin + 1]!)} · ${counts.join(' · ')}`;
        },
        format: formatValue,
        xOf: x,
        valueAt: (px) => x.invert(px),
      }}
      table={() => ({
        columns: ['from', 'to', ...makers.flatMap(({ name }) => [name, `${name}: low`, `${name}: high`])],
        rows: edges
          .slice(0, -1)
          .map((from, bin) => [
            from,
            edges[bin + 1]!,
            ...makers.flatMap(({ shares }) => shares[bin] ?? [Number.NaN, Number.NaN, Number.NaN]),
          ]),
      })}
      provenance={[
        report.title,
        `${report.command}, ${report.measuredOn}`,
        `shares of ${formatWhole(patches)} patches, with 95 % intervals over scenes`,
        'Patchlight',
      ]}
      fileName="score-spread"
    >
      <SpreadDrawing spread={spread} widthPx={widthPx} />
    </ChartFrame>
  );
}

/** The marks of the chart, without its frame. */
export function SpreadDrawing({ spread, widthPx }: { readonly spread: ScoreSpread; readonly widthPx: number }) {
  const { edges, patches, shares } = spread;
  const most = Math.max(1, ...Object.values(shares).flatMap((bins) => bins.map(([, , high]) => high * patches)));
  const x = scaleLinear([0, 1], [margins.left, Math.max(margins.left, widthPx - margins.right)]);
  // A log-like scale, because nearly all patches are in the first bins.
  const y = scaleSymlog([0, most], [heightPx - margins.bottom, margins.top]);
  const powers = Array.from({ length: Math.floor(Math.log10(most)) + 1 }, (_, i) => 10 ** i);
  return (
    <>
      <LeftAxis
        ticks={powers.map((value) => ({ value, atPx: y(value), label: formatShortCount(value) }))}
        margins={margins}
        widthPx={widthPx}
      />
      {Object.entries(shares).map(([name, bins], k) => {
        const counts = bins.map(([share]) => share * patches);
        const intervals = bins.map(([, low, high], bin) => ({
          // Next to each other, so that the intervals of one bin do not overlap.
          atPx: x((edges[bin]! + edges[bin + 1]!) / 2) + (k === 0 ? -2 : 2),
          low: low * patches,
          high: high * patches,
        }));
        return (
          <g key={name} className="spread" data-curve={k === 0 ? 'f1' : undefined}>
            <path className="curve" data-curve={k === 0 ? 'f1' : undefined} d={stepsPathData(edges, counts, x, y)} />
            <path className="spread-interval" d={intervalsPathData(intervals, y)} />
            <line
              className="curve"
              data-curve={k === 0 ? 'f1' : undefined}
              x1={margins.left + 8 + 150 * k}
              x2={margins.left + 34 + 150 * k}
              y1={12}
              y2={12}
            />
            <text
              className="curve-name"
              data-curve={k === 0 ? 'f1' : undefined}
              x={margins.left + 40 + 150 * k}
              y={12}
              dy="0.32em"
            >
              {name}
            </text>
          </g>
        );
      })}
      <BottomAxis x={x} widthPx={widthPx} heightPx={heightPx} margins={margins} label="score / map’s maximum" />
    </>
  );
}

function percent(share: readonly [number, number, number] | undefined): string {
  if (share === undefined) return '–';
  const digits = share[0] < 0.1 ? 2 : 1;
  const [value, low, high] = share.map((part) => (100 * part).toFixed(digits));
  return `${value} % (${low}–${high})`;
}
