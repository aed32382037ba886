import { useMemo } from 'react';
import { type MethodId, methodIds, methods } from '../../contract/methods';
import { type CostSeries, layOutCostChart } from '../../marks/cost-chart';
import { type Explaining, useExplaining } from '../../state/explain-session';
import { selectMeasuredCosts } from '../../state/measured-costs';
import { formatMs } from '../../text/number-format';
import { useRuns } from '../shared/use-run';
import type { CompareBench } from './use-compare';
import './cost-part.css';

const size = { widthPx: 560, heightPx: 260, margin: { top: 14, right: 150, bottom: 40, left: 64 } };
const selectTracks = ({ tracks }: Explaining) => tracks;

/** Cost against the number of tokens, from what this tab has measured. */
export function CostPart({ bench }: { readonly bench: CompareBench }) {
  const tracks = useExplaining(selectTracks);
  const runs = useRuns();
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new snapshot of the run may have brought maps
  const costs = useMemo(() => selectMeasuredCosts(runs, tracks), [runs, tracks, bench.run]);
  const series = useMemo(
    () => methodIds.map((method): CostSeries => ({ name: methods[method].name, points: costs.get(method) ?? [] })),
    [costs],
  );
  const chart = useMemo(() => layOutCostChart(series, size), [series]);
  return (
    <section className="cost-part" aria-label="Cost">
      <div className="part-head">
        <h2 className="part-title">What it cost</h2>
      </div>
      {chart === undefined ? (
        <p className="panel-says cost-empty">
          Nothing was measured in this tab yet: recorded maps were made elsewhere. Ask a question, or add a method.
        </p>
      ) : (
        <>
          <div className="cost-chart" data-volatile>
            <svg
              viewBox={`0 0 ${size.widthPx} ${size.heightPx}`}
              role="img"
              aria-label="Cost against tokens; the table below has its numbers"
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
          <details className="collapsible">
            <summary>The same as a table</summary>
            <CostTable costs={costs} />
          </details>
        </>
      )}
      <p className="panel-says">
        Both axes are logarithmic; lines join medians. A method’s first explanation also loads it. FastRM’s maps come
        with the answer, from states that are there already. What this page measures is this model on this machine: a
        large model’s gradients cost far more.
      </p>
    </section>
  );
}

/** Shapes tell the series apart where their names are far. */
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

function CostTable({ costs }: { readonly costs: ReturnType<typeof selectMeasuredCosts> }) {
  return (
    <table className="cost-table">
      <thead>
        <tr>
          <th scope="col">Method</th>
          <th scope="col">Tokens</th>
          <th scope="col">Time</th>
          <th scope="col">A token</th>
        </tr>
      </thead>
      <tbody>
        {[...costs].flatMap(([method, points]: [MethodId, CostSeries['points']]) =>
          points.map(({ tokens, ms }, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: measurements are only ever appended
            <tr key={`${method} ${at}`}>
              <th scope="row">{methods[method].name}</th>
              <td className="mono">{tokens}</td>
              <td className="mono">
                <span data-volatile>{formatMs(ms)}</span>
              </td>
              <td className="mono">
                <span data-volatile>{formatMs(ms / tokens)}</span>
              </td>
            </tr>
          )),
        )}
      </tbody>
    </table>
  );
}

function tickMs(ms: number): string {
  if (ms >= 1000) return `${ms / 1000} s`;
  return `${ms} ms`;
}
