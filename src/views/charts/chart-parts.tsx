import type { ScaleLinear } from 'd3-scale';
import { memo } from 'react';
import { type Tick, ticksOf } from '../../marks/axis';
import type { Margins } from './chart-frame';

/**
 * Hatching marks wrong answers, in addition to colour. Each drawing defines its own pattern, so saved files include it.
 */
export function ClassPattern({ id }: { readonly id: string }) {
  return (
    <defs>
      <pattern id={id} width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect className="hatch-ground" width="5" height="5" />
        <rect className="hatch-stripe" width="2" height="5" />
      </pattern>
    </defs>
  );
}

export const patternFill = (id: string) => `url(#${id})`;

interface AxisProps {
  readonly x: ScaleLinear<number, number>;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly margins: Margins;
  /** Axis name with its unit. */
  readonly label: string;
  readonly spacingPx?: number;
  readonly format?: ((value: number) => string) | undefined;
}

export const BottomAxis = memo(function BottomAxis(props: AxisProps) {
  const { x, widthPx, heightPx, margins, label, spacingPx = 70, format } = props;
  const y = heightPx - margins.bottom;
  return (
    <g className="axis">
      <line className="axis-line" x1={margins.left} x2={widthPx - margins.right} y1={y} y2={y} />
      {ticksOf(x, spacingPx, format).map((tick) => (
        <g key={tick.value} transform={`translate(${tick.atPx} ${y})`}>
          <line className="axis-tick" y2={4} />
          <text className="axis-number" y={16} textAnchor="middle">
            {tick.label}
          </text>
        </g>
      ))}
      <text className="axis-label" x={widthPx - margins.right} y={y + 31} textAnchor="end">
        {label}
      </text>
    </g>
  );
});

/** Tick labels on the left, with faint grid lines across the plot. */
export function LeftAxis(props: {
  readonly ticks: readonly Tick[];
  readonly margins: Margins;
  readonly widthPx: number;
  readonly label?: string;
}) {
  const { ticks, margins, widthPx, label } = props;
  return (
    <g className="axis">
      {ticks.map((tick) => (
        <g key={tick.value} transform={`translate(0 ${tick.atPx})`}>
          <line className="axis-rule" x1={margins.left} x2={widthPx - margins.right} />
          <text className="axis-number" x={margins.left - 6} dy="0.32em" textAnchor="end">
            {tick.label}
          </text>
        </g>
      ))}
      {label && (
        <text className="axis-label" x={margins.left} y={margins.top - 8}>
          {label}
        </text>
      )}
    </g>
  );
}

/** A key with a swatch and a name for each class. */
export function ClassKey(props: {
  readonly xPx: number;
  readonly yPx: number;
  readonly right: string;
  readonly wrong: string;
  readonly patternId: string;
  readonly isLines?: boolean;
}) {
  const { xPx, yPx, right, wrong, patternId, isLines = false } = props;
  // An estimate, because text is not measured here: 6.3 px per letter is enough for any of the fonts at 11.5 px.
  const offsetPx = 30 + right.length * 6.3 + 12;
  return (
    <g className="class-key" transform={`translate(${xPx} ${yPx})`}>
      <KeySwatch kind="right" patternId={patternId} isLine={isLines} />
      <text x={24} dy="0.32em">
        {right}
      </text>
      <g transform={`translate(${offsetPx} 0)`}>
        <KeySwatch kind="wrong" patternId={patternId} isLine={isLines} />
        <text x={24} dy="0.32em">
          {wrong}
        </text>
      </g>
    </g>
  );
}

function KeySwatch({
  kind,
  patternId,
  isLine,
}: {
  readonly kind: 'right' | 'wrong';
  readonly patternId: string;
  readonly isLine: boolean;
}) {
  if (isLine)
    return (
      <>
        <rect className="density-band" data-class={kind} y={-5} width={18} height={10} />
        <line className="density-line" data-class={kind} x2={18} />
      </>
    );
  return (
    <rect
      className="bars"
      data-class={kind}
      y={-5}
      width={18}
      height={10}
      fill={kind === 'wrong' ? patternFill(patternId) : undefined}
    />
  );
}

/** A vertical line through the plot, with a label at the top, on a side that has room for it. */
export function UprightMark(props: {
  readonly atPx: number;
  readonly label: string;
  readonly margins: Margins;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly kind: 'threshold' | 'answer';
  readonly labelYPx?: number;
  /** Preferred side for the label; the other side is used if there is no room. */
  readonly side?: 'left' | 'right';
}) {
  const { atPx, label, margins, widthPx, heightPx, kind, labelYPx = margins.top + 10, side = 'right' } = props;
  // Estimated, because text is not measured here.
  const roomPx = 14 + label.length * 6.3;
  const isLeft = side === 'left' ? atPx > roomPx : atPx + roomPx > widthPx;
  return (
    <g className="upright" data-kind={kind} transform={`translate(${Math.round(atPx) + 0.5} 0)`}>
      <line y1={kind === 'answer' ? labelYPx - 6 : margins.top} y2={heightPx - margins.bottom} />
      {kind === 'answer' && <path d={`M0 ${heightPx - margins.bottom - 7}l5 7h-10Z`} />}
      <text className="upright-casing" x={isLeft ? -7 : 7} y={labelYPx} textAnchor={isLeft ? 'end' : 'start'}>
        {label}
      </text>
      <text x={isLeft ? -7 : 7} y={labelYPx} textAnchor={isLeft ? 'end' : 'start'}>
        {label}
      </text>
    </g>
  );
}

/** Marks values beyond an end of the axis, such as -∞, with their number: an arrow at the end of the plot. */
export function EdgeMark(props: {
  readonly side: 'low' | 'high';
  readonly atPx: number;
  readonly yPx: number;
  readonly label: string;
}) {
  const { side, atPx, yPx, label } = props;
  const inwards = side === 'low' ? 1 : -1;
  const text = { x: 12 * inwards, dy: '0.32em', textAnchor: side === 'low' ? 'start' : 'end' } as const;
  return (
    <g className="edge-mark" transform={`translate(${atPx} ${yPx})`}>
      <path d={`M0 0l${8 * inwards} -5v10Z`} />
      <text className="upright-casing" {...text}>
        {label}
      </text>
      <text {...text}>{label}</text>
    </g>
  );
}
