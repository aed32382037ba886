import { scaleLinear, scaleSqrt } from 'd3-scale';
import { useId, useMemo } from 'react';
import { countTicks } from '../../marks/axis';
import type { Range } from '../../marks/brush';
import { barsPathData, binAt, maxCounts, stepsPathData } from '../../marks/histogram';
import type { AnswerValue, ChartCounts, ClassCounts } from '../../statistics/api';
import { formatWhole } from '../../text/number-format';
import { ChartFrame, type Margins } from '../charts/chart-frame';
import { BottomAxis, ClassPattern, EdgeMark, LeftAxis, patternFill } from '../charts/chart-parts';
import { useWidth } from '../charts/use-width';
import { beyondText, hiddenText, totalOf } from './left-out-words';
import { formatOf, spanText, valueUnit } from './trust-words';

interface FilterHistogramProps {
  readonly title: string;
  readonly value: AnswerValue;
  readonly edges: Float64Array;
  /** Counts under all filters except this chart's. */
  readonly counts: ChartCounts;
  /** Unfiltered counts: drawn as an outline, and used to scale the heights. */
  readonly whole: ChartCounts;
  readonly range: Range | undefined;
  onBrush(range: Range | undefined): void;
  readonly heightPx: number;
  readonly provenance: readonly string[];
  readonly fileName: string;
}

/** Right answers upwards, wrong ones downwards. Brushing a range filters the other charts and the table. */
export function FilterHistogram(props: FilterHistogramProps) {
  const { title, value, edges, counts, whole, range, onBrush, heightPx, provenance, fileName } = props;
  const [plot, widthPx] = useWidth<HTMLDivElement>();
  const patternId = useId().replaceAll(':', '');
  const unit = valueUnit(value);
  const format = formatOf(value);
  const bins = edges.length - 1;
  const domain: Range = [edges[0]!, edges[bins]!];
  const margins: Margins = { top: 8, right: 4, bottom: 36, left: 34 };
  const scales = useMemo(() => {
    const x = scaleLinear(
      [edges[0]!, edges[edges.length - 1]!],
      [margins.left, Math.max(margins.left, widthPx - margins.right)],
    );
    const max = maxCounts(whole);
    // Tukey's rootogram: heights are square roots of counts, so that the few wrong answers remain visible.
    const y = scaleSqrt([-max.wrong || -1, max.right || 1], [heightPx - margins.bottom, margins.top]);
    return { x, y };
  }, [edges, whole, widthPx, heightPx, margins.left, margins.right, margins.top, margins.bottom]);
  const { x, y } = scales;
  const outline = useMemo(
    () => stepsPathData(edges, whole.right, x, y) + stepsPathData(edges, whole.wrong, x, y, -1),
    [edges, whole, x, y],
  );
  const ticks = countTicks(y, 34).map((tick) => ({ ...tick, label: tick.label.replace('-', '') }));
  const lowText = beyondText(counts.below, '-∞');
  const highText = beyondText(counts.above, '∞');
  const hidden = hiddenText(counts);
  const textAt = (at: number) => {
    const bin = binAt(edges, at);
    if (bin === undefined) return `${format(at)} ${unit}`;
    const [right, wrong] = [counts.right[bin]!, counts.wrong[bin]!];
    const share = right + wrong === 0 ? '' : ` · ${((100 * right) / (right + wrong)).toFixed(0)} % right`;
    const beyond = [...(bin === 0 ? [lowText] : []), ...(bin === bins - 1 ? [highText] : [])];
    const more = beyond.filter((text) => text !== '').map((text) => ` · ${text}`);
    return `${spanText(value, edges[bin]!, edges[bin + 1]!)} · ${formatWhole(right)} right, ${formatWhole(wrong)} wrong${share}${more.join('')}`;
  };
  return (
    <ChartFrame
      title={title}
      note={
        range ? (
          <>
            {spanText(value, ...range)}.{' '}
            <button type="button" className="link-button" onClick={() => onBrush(undefined)}>
              Clear
            </button>
            {hidden}
          </>
        ) : (
          `Drag to filter.${hidden}`
        )
      }
      heightPx={heightPx}
      widthPx={widthPx}
      margins={margins}
      plot={plot}
      description={`${title}: histogram, right answers upwards and wrong answers downwards.`}
      readout={{
        axis: unit,
        domain,
        step: (domain[1] - domain[0]) / bins,
        textAt,
        format,
        xOf: x,
        valueAt: (px) => x.invert(px),
      }}
      brushing={{ range, onBrush }}
      table={() => ({
        columns: [`from (${unit})`, `to (${unit})`, 'right', 'wrong', 'not scored', 'all right', 'all wrong'],
        rows: [
          ...beyondRow(Number.NEGATIVE_INFINITY, counts.below, whole.below),
          ...Array.from({ length: bins }, (_, bin) => [
            edges[bin]!,
            edges[bin + 1]!,
            counts.right[bin]!,
            counts.wrong[bin]!,
            counts.unscored[bin]!,
            whole.right[bin]!,
            whole.wrong[bin]!,
          ]),
          ...beyondRow(Number.POSITIVE_INFINITY, counts.above, whole.above),
        ],
      })}
      provenance={hidden === '' ? provenance : [...provenance, hidden.trim()]}
      fileName={fileName}
    >
      <ClassPattern id={patternId} />
      <LeftAxis ticks={ticks} margins={margins} widthPx={widthPx} />
      <path className="bars-before" d={outline} />
      <path className="bars" data-class="right" d={barsPathData(edges, counts.right, x, y)} />
      <path
        className="bars"
        data-class="wrong"
        d={barsPathData(edges, counts.wrong, x, y, { sign: -1 })}
        fill={patternFill(patternId)}
      />
      <line className="axis-line" x1={margins.left} x2={widthPx - margins.right} y1={y(0)} y2={y(0)} />
      <BottomAxis x={x} widthPx={widthPx} heightPx={heightPx} margins={margins} label={unit} spacingPx={70} />
      {lowText !== '' && <EdgeMark side="low" atPx={margins.left} yPx={margins.top + 6} label={lowText} />}
      {highText !== '' && (
        <EdgeMark side="high" atPx={widthPx - margins.right} yPx={margins.top + 6} label={highText} />
      )}
    </ChartFrame>
  );
}

function beyondRow(place: number, counts: ClassCounts, whole: ClassCounts): number[][] {
  if (totalOf(whole) === 0) return [];
  return [[place, place, counts.right, counts.wrong, counts.unscored, whole.right, whole.wrong]];
}
