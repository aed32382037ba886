import { scaleLinear, scaleSqrt } from 'd3-scale';
import { useId, useMemo } from 'react';
import { type DensityColumns, densityPaths, maxDensity, valueAt } from '../../marks/density';
import { barsPathData, binAt, maxCounts } from '../../marks/histogram';
import type { ClassDensity } from '../../math/statistics/class-density';
import type { ChartTable } from '../../state/chart-table';
import type { AnswerValue, Distribution } from '../../statistics/api';
import { formatCount, formatWhole } from '../../text/number-format';
import { ChartFrame, type Margins } from '../charts/chart-frame';
import { BottomAxis, ClassKey, ClassPattern, EdgeMark, patternFill, UprightMark } from '../charts/chart-parts';
import { useWidth } from '../charts/use-width';
import { infiniteEnds, leftOutSentences } from './left-out-words';
import { formatOf, valueUnit } from './trust-words';

const classes = ['right', 'wrong'] as const;

/** Height of the threshold's label, which the curves must not cross. */
const labelRoomPx = 18;

interface DensityChartProps {
  readonly title: string;
  readonly value: AnswerValue;
  readonly distribution: Distribution;
  /** Threshold in the value's unit. */
  readonly threshold: number | undefined;
  /** Value of the answer on screen. */
  readonly answer?: number | undefined;
  readonly note?: string;
  readonly heightPx: number;
  readonly level?: 2 | 3 | 4;
  readonly provenance: readonly string[];
  readonly fileName: string;
}

/** Densities of right and wrong answers with bands and the threshold, and histograms below. */
export function DensityChart(props: DensityChartProps) {
  const { title, value, distribution, threshold, answer, note, heightPx, level = 3, provenance, fileName } = props;
  const [plot, widthPx] = useWidth<HTMLDivElement>();
  const patternId = useId().replaceAll(':', '');
  const unit = valueUnit(value);
  const format = formatOf(value);
  const { grid, densities, histograms } = distribution;
  const stripPx = Math.round(heightPx * 0.26);
  const margins: Margins = { top: answer === undefined ? 24 : 42, right: 6, bottom: 38, left: 6 };
  const stripTopPx = heightPx - margins.bottom - stripPx;
  const domain: readonly [number, number] = [grid[0] ?? 0, grid.at(-1) ?? 1];

  const drawing = useMemo(() => {
    const x = scaleLinear(
      [grid[0] ?? 0, grid.at(-1) ?? 1],
      [margins.left, Math.max(margins.left, widthPx - margins.right)],
    );
    const columns = { right: densityColumns(grid, densities.right), wrong: densityColumns(grid, densities.wrong) };
    const y = scaleLinear(
      [0, maxDensity([columns.right, columns.wrong]) || 1],
      [stripTopPx - 6, margins.top + labelRoomPx],
    );
    const { right, wrong } = histograms;
    const max = maxCounts({ right: right.counts, wrong: wrong.counts });
    // A shared square-root scale, because there may be far fewer wrong answers than right ones.
    const count = scaleSqrt([-max.wrong || -1, max.right || 1], [heightPx - margins.bottom, stripTopPx + 4]);
    return {
      x,
      basePx: y(0),
      midPx: count(0),
      paths: { right: densityPaths(columns.right, x, y), wrong: densityPaths(columns.wrong, x, y) },
      bars: {
        right: barsPathData(right.edges, right.counts, x, count),
        wrong: barsPathData(wrong.edges, wrong.counts, x, count, { sign: -1 }),
      },
    };
  }, [
    grid,
    densities,
    histograms,
    widthPx,
    heightPx,
    stripTopPx,
    margins.left,
    margins.right,
    margins.top,
    margins.bottom,
  ]);
  const { x, paths, bars, basePx, midPx } = drawing;
  const ends = infiniteEnds(distribution);
  const isAnswerHigh = answer !== undefined && threshold !== undefined && answer > threshold;
  const step = (domain[1] - domain[0]) / 100;
  const textAt = (at: number) => {
    const parts = classes.map((name) => {
      const estimate = densities[name];
      if (estimate.state === 'none') return `${name}: no density`;
      const here = valueAt(grid, estimate.density, at).toFixed(2);
      const band =
        estimate.state === 'banded'
          ? ` (${valueAt(grid, estimate.low, at).toFixed(2)}–${valueAt(grid, estimate.high, at).toFixed(2)})`
          : '';
      return `${name} ${here}${band}`;
    });
    const bin = binAt(histograms.right.edges, at);
    const counts =
      bin === undefined
        ? ''
        : ` · in this bin ${formatWhole(histograms.right.counts[bin]!)} right, ${formatWhole(histograms.wrong.counts[bin]!)} wrong`;
    return `${format(at)} ${unit} · ${parts.join(' · ')}${counts}`;
  };

  return (
    <ChartFrame
      title={title}
      note={[note ?? densityNote(distribution) ?? wholeNote, ...leftOutSentences(distribution)].join(' ')}
      level={level}
      heightPx={heightPx}
      widthPx={widthPx}
      margins={margins}
      plot={plot}
      description={`${title}: densities of right and wrong answers over ${unit}, with counts below.`}
      readout={{
        axis: unit,
        domain,
        step,
        textAt,
        format,
        xOf: x,
        valueAt: (px) => x.invert(px),
      }}
      table={() => densityTable(distribution, unit)}
      provenance={[
        ...provenance,
        ...densityFacts(distribution),
        ...(threshold === undefined ? [] : [`threshold: ${threshold} ${unit}`]),
      ]}
      fileName={fileName}
    >
      <ClassPattern id={patternId} />
      {classes.map((name) => (
        <path key={name} className="density-band" data-class={name} d={paths[name].band} />
      ))}
      {classes.map((name) => (
        <path key={name} className="density-line" data-class={name} d={paths[name].line} />
      ))}
      <line className="axis-rule" x1={margins.left} x2={widthPx - margins.right} y1={basePx} y2={basePx} />
      <path className="bars" data-class="right" d={bars.right} />
      <path className="bars" data-class="wrong" d={bars.wrong} fill={patternFill(patternId)} />
      <line className="axis-line" x1={margins.left} x2={widthPx - margins.right} y1={midPx} y2={midPx} />
      <BottomAxis x={x} widthPx={widthPx} heightPx={heightPx} margins={margins} label={unit} />
      <ClassKey
        xPx={margins.left}
        yPx={10}
        patternId={patternId}
        isLines
        right={`${formatWhole(densities.right.n)} right`}
        wrong={`${formatWhole(densities.wrong.n)} wrong`}
      />
      {threshold !== undefined && threshold >= domain[0] && threshold <= domain[1] && (
        <UprightMark
          kind="threshold"
          atPx={x(threshold)}
          label={`threshold ${format(threshold)}`}
          margins={margins}
          widthPx={widthPx}
          heightPx={heightPx}
          labelYPx={margins.top + 10}
          side={isAnswerHigh ? 'left' : 'right'}
        />
      )}
      {ends.map(({ side, n, place }) => (
        <EdgeMark
          key={side}
          side={side}
          atPx={side === 'low' ? margins.left : widthPx - margins.right}
          yPx={midPx - 10}
          label={`${formatCount(n, 'answer', 'answers')} at ${place}`}
        />
      ))}
      {answer !== undefined && !Number.isNaN(answer) && (
        <UprightMark
          kind="answer"
          atPx={x(Math.min(domain[1], Math.max(domain[0], answer)))}
          label={`this answer ${format(answer)}`}
          margins={margins}
          widthPx={widthPx}
          heightPx={heightPx}
          labelYPx={34}
          side={isAnswerHigh ? 'right' : 'left'}
        />
      )}
    </ChartFrame>
  );
}

function densityColumns(xs: Float64Array, estimate: ClassDensity): DensityColumns {
  switch (estimate.state) {
    case 'banded':
      return { xs, density: estimate.density, band: { low: estimate.low, high: estimate.high } };
    case 'bare':
      return { xs, density: estimate.density };
    case 'none':
      return { xs: [], density: [] };
  }
}

const wholeNote =
  'Kernel densities with 95 % bootstrap bands. Below: number of answers (square-root scale), right upwards, wrong downwards.';

/** Why a density or band is not drawn; undefined if all are drawn. */
export function densityNote({ densities }: Distribution): string | undefined {
  const reasons = classes
    .map((name) => densities[name])
    .flatMap((estimate) => (estimate.state === 'banded' ? [] : [estimate.why]));
  return reasons.length > 0 ? [...new Set(reasons)].join(' ') : undefined;
}

function densityFacts(distribution: Distribution): string[] {
  const { densities } = distribution;
  const facts = classes.map((name) => {
    const estimate = densities[name];
    const bandwidth = estimate.state === 'none' ? '' : `, bandwidth ${Number(estimate.bandwidth.toPrecision(4))}`;
    return `${name}: ${formatCount(estimate.n, 'answer', 'answers')}${bandwidth}${estimate.state === 'banded' ? ', pointwise 95 % bootstrap bands' : ''}`;
  });
  return [...facts, ...leftOutSentences(distribution)];
}

function densityTable({ grid, densities }: Distribution, unit: string): ChartTable {
  const { right, wrong } = densities;
  const of = (estimate: ClassDensity, name: 'density' | 'low' | 'high', i: number) => {
    if (estimate.state === 'none' || (estimate.state === 'bare' && name !== 'density')) return Number.NaN;
    return estimate.state === 'banded' ? estimate[name][i]! : estimate.density[i]!;
  };
  return {
    columns: [unit, 'right', 'right low', 'right high', 'wrong', 'wrong low', 'wrong high'],
    rows: Array.from(grid, (at, i) => [
      at,
      ...[right, wrong].flatMap((estimate) =>
        (['density', 'low', 'high'] as const).map((name) => of(estimate, name, i)),
      ),
    ]),
  };
}
