import { useMemo } from 'react';
import { type CostSeries, layOutCostChart } from '../../marks/cost-chart';
import { formatMs } from '../../text/number-format';
import './cost-chart.css';

const size = { widthPx: 560, heightPx: 260, margin: { top: 14, right: 150, bottom: 40, left: 64 } };

/** Time against the number of tokens, on log axes. Renders nothing without measurements. */
export function CostChart({ series }: { readonly series: readonly CostSeries[] }) {
  const chart = useMemo(() => layOutCostChart(series, size), [series]);
  if (chart === undefined) return null;
  return (
    <div className="cost-chart" data-volatile>
      <svg
        viewBox={`0 0 ${size.widthPx} ${size.heightPx}`}
        role="img"
        aria-label="Time against the number of tokens; the table below lists the measurements"
      >
        {chart.yTicks.map(({ value, atPx }) => (
          <g key={value} className="cost-tick">
            <line x1={size.margin.left} x2={size.widthPx - size.margin.right} y1={atPx} y2={atPx} />
            <text x={size.margin.left - 8} y={atPx} dy="0.32em" textAnchor="end">
              {tickMs(value)}
            </text>
          </g>
        ))}
        {chart.xTicks.map(({ value, atPx }) => (
          <g key={value} className="cost-tick">
            <line x1={atPx} x2={atPx} y1={size.margin.top} y2={size.heightPx - size.margin.bottom} />
            <text x={atPx} y={size.heightPx - size.margin.bottom + 16} textAnchor="middle">
              {value}
            </text>
          </g>
        ))}
        <text className="cost-axis" x={size.margin.left} y={size.heightPx - 6}>
          answer tokens explained together
        </text>
        {chart.series.map(({ name, points, path, label }, i) => (
          <g key={name} className="cost-series" data-mark={i % 4}>
            <path d={path} />
            {points.map(({ xPx, yPx, point }, at) => (
              <Mark
                // biome-ignore lint/suspicious/noArrayIndexKey: measurements are only ever appended
                key={at}
                kind={i % 4}
                xPx={xPx}
                yPx={yPx}
                title={`${name}: ${point.tokens} in ${formatMs(point.ms)}`}
              />
            ))}
            <text x={label.xPx} y={label.yPx} dy="0.32em">
              {name}
            </text>
          </g>
        ))}
      </svg>
    </div>
  );
}

/** The symbol for a point: one of four shapes. */
function Mark(props: { readonly kind: number; readonly xPx: number; readonly yPx: number; readonly title: string }) {
  const { kind, xPx, yPx, title } = props;
  const shapes = [
    'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0',
    'M-3.5 -3.5h7v7h-7Z',
    'M0 -4.5L4.5 3.5H-4.5Z',
    'M0 -5L5 0L0 5L-5 0Z',
  ];
  return (
    <path className="cost-mark" d={shapes[kind]} transform={`translate(${xPx} ${yPx})`}>
      <title>{title}</title>
    </path>
  );
}

function tickMs(ms: number): string {
  if (ms >= 1000) return `${ms / 1000} s`;
  return `${ms} ms`;
}
