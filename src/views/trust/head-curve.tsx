import { scaleLinear } from 'd3-scale';
import type { HeadReport } from '../../contract/head-report';
import { ticksOf } from '../../marks/axis';
import { bandPathData, curvePathData, nearestIndex, peakIndex } from '../../marks/curve';
import { formatValue } from '../../text/number-format';
import { ChartFrame, type Margins } from '../charts/chart-frame';
import { BottomAxis, LeftAxis, UprightMark } from '../charts/chart-parts';
import { useWidth } from '../charts/use-width';

const margins: Margins = { top: 26, right: 12, bottom: 38, left: 34 };
const heightPx = 260;
const notNumber = (values: readonly (number | null)[]) => values.map((value) => value ?? Number.NaN);

const digitsOf = (value: number) => (Number.isNaN(value) ? '–' : value.toFixed(3));

type Band = { readonly low: readonly number[]; readonly high: readonly number[] };

const bandOf = ({ low, high }: { low: readonly (number | null)[]; high: readonly (number | null)[] }): Band => ({
  low: notNumber(low),
  high: notNumber(high),
});

interface HeadCurveProps {
  readonly report: HeadReport;
  /** Name of the model that the head belongs to. */
  readonly model: string;
  /** The page's classification threshold for this head; undefined while another model's run is shown. */
  readonly own: number | undefined;
}

/** Accuracy and F1 of binarised maps against the classification threshold, as in the paper's figure. */
export function HeadCurve({ report, model, own }: HeadCurveProps) {
  const [plot, widthPx] = useWidth<HTMLDivElement>();
  const { threshold } = report.curve;
  const accuracy = notNumber(report.curve.accuracy);
  const f1 = notNumber(report.curve.f1);
  const x = scaleLinear([0, 1], [margins.left, Math.max(margins.left, widthPx - margins.right)]);
  const y = scaleLinear([0, 1], [heightPx - margins.bottom, margins.top]);
  const peak = peakIndex(f1);
  const bands = report.curve.intervals && {
    accuracy: bandOf(report.curve.intervals.accuracy),
    f1: bandOf(report.curve.intervals.f1),
  };
  const withBand = (value: number, band: Band | undefined, i: number) =>
    `${digitsOf(value)}${band ? ` (${digitsOf(band.low[i]!)}–${digitsOf(band.high[i]!)})` : ''}`;
  const textAt = (at: number) => {
    const i = nearestIndex(threshold, at) ?? 0;
    return `threshold ${formatValue(threshold[i]!)} · accuracy ${withBand(accuracy[i]!, bands?.accuracy, i)} · F1 ${withBand(f1[i]!, bands?.f1, i)}`;
  };
  return (
    <ChartFrame
      title="Accuracy and F1 against the classification threshold"
      note={`FastRM’s maps for ${model} compared with its teacher’s, both binarised, on held-out answers. F1 peaks at ${peak === undefined ? '–' : f1[peak]!.toFixed(2)} (threshold ${peak === undefined ? '–' : formatValue(threshold[peak]!)}).${bands ? ' With pointwise 95 % intervals over scenes.' : ''}`}
      heightPx={heightPx}
      widthPx={widthPx}
      margins={margins}
      plot={plot}
      description="Accuracy and F1 against the classification threshold."
      readout={{
        axis: 'threshold',
        domain: [0, 1],
        step: 0.01,
        textAt,
        format: formatValue,
        xOf: x,
        valueAt: (px) => x.invert(px),
      }}
      table={() => ({
        columns: [
          'threshold',
          'accuracy',
          'precision',
          'recall',
          'F1',
          ...(bands ? ['accuracy: low', 'accuracy: high', 'F1: low', 'F1: high'] : []),
        ],
        rows: threshold.map((value, i) => [
          Number(value.toFixed(2)),
          accuracy[i]!,
          report.curve.precision[i] ?? Number.NaN,
          report.curve.recall[i] ?? Number.NaN,
          f1[i]!,
          ...(bands ? [bands.accuracy.low[i]!, bands.accuracy.high[i]!, bands.f1.low[i]!, bands.f1.high[i]!] : []),
        ]),
      })}
      provenance={[report.title, `${report.command}, ${report.measuredOn}`, 'Patchlight']}
      fileName="accuracy-f1"
    >
      <LeftAxis ticks={ticksOf(y, 50)} margins={margins} widthPx={widthPx} />
      {bands && (
        <>
          <path
            className="curve-band"
            data-curve="accuracy"
            d={bandPathData(threshold, bands.accuracy.low, bands.accuracy.high, x, y)}
          />
          <path className="curve-band" data-curve="f1" d={bandPathData(threshold, bands.f1.low, bands.f1.high, x, y)} />
        </>
      )}
      <path className="curve" data-curve="accuracy" d={curvePathData(threshold, accuracy, x, y)} />
      <path className="curve" data-curve="f1" d={curvePathData(threshold, f1, x, y)} />
      <text className="curve-name" x={x(0.62)} y={y(accuracy[62] ?? 0) + 16}>
        accuracy
      </text>
      <text className="curve-name" data-curve="f1" x={x(0.62) + 4} y={y(f1[62] ?? 0) - 8}>
        F1
      </text>
      {own !== undefined && (
        <UprightMark
          kind="threshold"
          atPx={x(own)}
          label={`this page: ${formatValue(own)}`}
          margins={margins}
          widthPx={widthPx}
          heightPx={heightPx}
          labelYPx={14}
        />
      )}
      <BottomAxis x={x} widthPx={widthPx} heightPx={heightPx} margins={margins} label="classification threshold" />
    </ChartFrame>
  );
}
