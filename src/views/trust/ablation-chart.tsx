import { type ScaleLinear, scaleLinear } from 'd3-scale';
import type { Ablation, AblationReport, AblationRow } from '../../contract/ablation-report';
import type { Estimate } from '../../contract/shared-fields';
import { ticksOf } from '../../marks/axis';
import { curvePathData } from '../../marks/curve';
import { intervalsPathData } from '../../marks/interval';
import type { ChartTable } from '../../state/chart-table';
import { ChartFrame, type Margins } from '../charts/chart-frame';
import { LeftAxis, UprightMark } from '../charts/chart-parts';
import { useWidth } from '../charts/use-width';
import './ablation-chart.css';

const margins: Margins = { top: 44, right: 12, bottom: 50, left: 34 };
const heightPx = 250;

/** What is drawn. Points of one value stand next to each other, so that their intervals do not overlap. */
const measures = [
  { of: 'f1', name: 'F1', offsetPx: -7, keyPx: 6, shape: 'M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0' },
  { of: 'spearman', name: 'Spearman', offsetPx: 0, keyPx: 46, shape: 'M-3 -3h6v6h-6Z' },
  { of: 'pointing', name: 'pointing', offsetPx: 7, keyPx: 126, shape: 'M0 -4L4 3H-4Z' },
] as const;

interface AblationChartProps {
  readonly ablation: Ablation;
  readonly report: AblationReport;
}

/** How the quality of a head's maps depends on one option of its training. */
export function AblationChart({ ablation, report }: AblationChartProps) {
  const [plot, widthPx] = useWidth<HTMLDivElement>();
  const { name, rows } = ablation;
  const x = placesOf(rows.length, widthPx);
  const paper = rows.find(({ isPaper }) => isPaper);
  const rowAt = (place: number) => rows[Math.min(rows.length - 1, Math.max(0, Math.round(place)))]!;
  return (
    <ChartFrame
      title={sentenceCase(name)}
      note={paper ? `The paper’s: ${paper.label}. ${scoresOf(paper)}.` : 'The paper’s recipe is not among these.'}
      level={4}
      heightPx={heightPx}
      widthPx={widthPx}
      margins={margins}
      plot={plot}
      description={`F1, Spearman’s correlation and pointing game against the ${name}, with 95 % intervals.`}
      readout={{
        axis: name,
        domain: [0, Math.max(1, rows.length - 1)],
        step: 1,
        textAt: (at) => `${rowAt(at).label} · ${scoresOf(rowAt(at))}`,
        format: (at) => rowAt(at).label,
        xOf: x,
        valueAt: (px) => Math.round(x.invert(px)),
      }}
      table={() => ablationTable(ablation)}
      provenance={[report.title, `${report.command}, ${report.measuredOn}`, '95 % intervals over scenes', 'Patchlight']}
      fileName={`ablation-${name.replaceAll(' ', '-')}`}
    >
      <AblationDrawing ablation={ablation} widthPx={widthPx} />
    </ChartFrame>
  );
}

/** The marks of the chart, without its frame. */
export function AblationDrawing({ ablation, widthPx }: { readonly ablation: Ablation; readonly widthPx: number }) {
  const { name, rows } = ablation;
  const x = placesOf(rows.length, widthPx);
  const lowest = Math.min(0, ...rows.flatMap((row) => measures.map(({ of }) => row[of]?.[1] ?? 0)));
  const y = scaleLinear([lowest, 1], [heightPx - margins.bottom, margins.top]);
  const paper = rows.findIndex(({ isPaper }) => isPaper);
  const basePx = heightPx - margins.bottom;
  return (
    <>
      <LeftAxis ticks={ticksOf(y, 40)} margins={margins} widthPx={widthPx} />
      <line className="axis-line" x1={margins.left} x2={widthPx - margins.right} y1={basePx} y2={basePx} />
      {rows.map(({ label }, i) => (
        <text key={label} className="axis-number" y={basePx + 16} textAnchor="middle">
          {label.split(', ').map((line, k) => (
            <tspan key={line} x={x(i)} dy={k === 0 ? 0 : 12}>
              {line}
            </tspan>
          ))}
        </text>
      ))}
      <text className="axis-label" x={widthPx - margins.right} y={heightPx - 4} textAnchor="end">
        {name}
      </text>
      {paper >= 0 && (
        <UprightMark
          kind="threshold"
          atPx={x(paper)}
          label="paper’s"
          margins={margins}
          widthPx={widthPx}
          heightPx={heightPx}
          labelYPx={30}
        />
      )}
      {measures.map(({ of, name: measure, offsetPx, keyPx, shape }) => {
        const points = rows.flatMap((row, i) => pointOf(row[of], x(i) + offsetPx));
        const at = points.map(({ atPx }) => atPx);
        return (
          <g key={of} className="ablation" data-measure={of}>
            <path className="ablation-interval" d={intervalsPathData(points, y)} />
            <path
              className="ablation-line"
              d={curvePathData(
                at,
                points.map(({ value }) => value),
                pixels,
                y,
              )}
            />
            {points.map(({ atPx, value }) => (
              <path key={atPx} className="ablation-point" d={shape} transform={`translate(${atPx} ${y(value)})`} />
            ))}
            <g transform={`translate(${margins.left + keyPx} 10)`}>
              <path className="ablation-point" d={shape} />
              <text className="curve-name" x={8} dy="0.32em">
                {measure}
              </text>
            </g>
          </g>
        );
      })}
    </>
  );
}

/** The numbers of an ablation, with those that are not drawn. */
export function ablationTable({ name, rows }: Ablation): ChartTable {
  const columns = [
    ['F1', 'f1'],
    ['Spearman', 'spearman'],
    ['pointing game', 'pointing'],
    ['perturbation area', 'area'],
    ['area minus random order’s', 'areaOverRandom'],
    ['area minus exact Chefer’s', 'areaOverChefer'],
  ] as const;
  return {
    columns: [
      name,
      'paper’s recipe',
      'tokens',
      'steps',
      'classification threshold',
      ...columns.flatMap(([label]) => [label, `${label}: low`, `${label}: high`]),
    ],
    rows: rows.map((row) => [
      row.label,
      row.isPaper ? 'yes' : 'no',
      row.tokens,
      row.steps,
      row.threshold,
      ...columns.flatMap(([, key]) => row[key] ?? [Number.NaN, Number.NaN, Number.NaN]),
    ]),
  };
}

/** Places values evenly, whatever they are: 0 is the first. */
function placesOf(count: number, widthPx: number): ScaleLinear<number, number> {
  return scaleLinear([-0.5, count - 0.5], [margins.left, Math.max(margins.left, widthPx - margins.right)]);
}

/** Positions that are in pixels already. */
const pixels = scaleLinear();

function pointOf(estimate: Estimate | null, atPx: number) {
  if (estimate === null) return [];
  const [value, low, high] = estimate;
  return [{ atPx, value, low, high }];
}

function scoresOf(row: AblationRow): string {
  return measures.map(({ of, name }) => `${name} ${withInterval(row[of])}`).join(' · ');
}

function withInterval(estimate: Estimate | null): string {
  if (estimate === null) return '–';
  const [value, low, high] = estimate.map((number) => number.toFixed(2));
  return `${value} (${low}–${high})`;
}

const sentenceCase = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1);
