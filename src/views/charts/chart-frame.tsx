import {
  type KeyboardEvent,
  type PointerEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useId,
  useRef,
  useState,
} from 'react';
import { type Brush, type BrushPart, createBrush, keyedDelta, type Range } from '../../marks/brush';
import type { ChartTable } from '../../state/chart-table';
import { ChartTools, type Saved } from './chart-tools';
import { NumbersTable } from './numbers-table';
import './chart.css';

/** Space around the plot within the drawing, in CSS pixels. */
export interface Margins {
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
}

/** Lets the user read values at a position on the x axis, by pointer or keyboard. */
interface Readout {
  /** Axis name with its unit. */
  readonly axis: string;
  readonly domain: Range;
  /** How far an arrow key moves the cursor. */
  readonly step: number;
  /** The values at this position, as one line of text. */
  textAt(value: number): string;
  format(value: number): string;
  xOf(value: number): number;
  valueAt(xPx: number): number;
}

interface Brushing {
  readonly range: Range | undefined;
  onBrush(range: Range | undefined, phase: 'move' | 'end'): void;
}

interface ChartFrameProps {
  readonly title: string;
  /** Shown below the title while the readout is empty. */
  readonly note: ReactNode;
  readonly level?: 2 | 3 | 4;
  readonly heightPx: number;
  readonly widthPx: number;
  readonly margins: Margins;
  readonly plot: RefObject<HTMLDivElement | null>;
  readonly readout?: Readout | undefined;
  /** Whether parts of the drawing are focusable. */
  readonly isInteractive?: boolean;
  readonly brushing?: Brushing | undefined;
  /** Text alternative for screen readers. */
  readonly description: string;
  table(): ChartTable;
  /** What the numbers are and how they were computed, one line per fact. */
  readonly provenance: readonly string[];
  readonly fileName: string;
  readonly children: ReactNode;
}

/** A chart with a title, readout, table view and downloads. */
export function ChartFrame(props: ChartFrameProps) {
  const {
    title,
    note,
    level = 3,
    heightPx,
    widthPx,
    margins,
    plot,
    readout,
    isInteractive = false,
    brushing,
    description,
    table,
    provenance,
    fileName,
    children,
  } = props;
  const [isTable, setIsTable] = useState(false);
  const [at, setAt] = useState<number>();
  const [problem, setProblem] = useState<string>();
  const drawing = useRef<SVGSVGElement>(null);
  const saved = useRef<Saved>(undefined);
  useEffect(() => {
    saved.current = { table, provenance, drawing: drawing.current };
  });
  const titleId = useId();
  const Title = `h${level}` as const;
  return (
    <figure className="chart" aria-labelledby={titleId}>
      <figcaption className="chart-head">
        <Title id={titleId} className="chart-title">
          {title}
        </Title>
        <ChartTools
          title={title}
          fileName={fileName}
          saved={saved}
          isTable={isTable}
          onTable={setIsTable}
          onProblem={setProblem}
        />
        <p className="chart-note">
          {problem && <span role="alert">{problem} </span>}
          {readout && at !== undefined && !isTable ? <span className="mono">{readout.textAt(at)}</span> : note}
        </p>
      </figcaption>
      <div ref={plot} className="chart-plot" style={{ minHeight: heightPx }}>
        {isTable ? (
          <NumbersTable table={table()} titleId={titleId} heightPx={heightPx} />
        ) : (
          widthPx > 0 && (
            <svg
              ref={drawing}
              width={widthPx}
              height={heightPx}
              aria-label={description}
              role={readout || isInteractive ? 'group' : 'img'}
            >
              <g aria-hidden={!isInteractive || undefined}>{children}</g>
              {readout && (
                <Overlay
                  title={title}
                  widthPx={widthPx}
                  heightPx={heightPx}
                  margins={margins}
                  readout={readout}
                  brushing={brushing}
                  at={at}
                  onRead={setAt}
                />
              )}
            </svg>
          )
        )}
      </div>
    </figure>
  );
}

interface OverlayProps {
  readonly title: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly margins: Margins;
  readonly readout: Readout;
  readonly brushing: Brushing | undefined;
  readonly at: number | undefined;
  onRead(at: number | undefined): void;
}

/** Handles pointer and keyboard input over the drawing. Left out of saved files. */
function Overlay(props: OverlayProps) {
  const { title, widthPx, heightPx, margins, readout, brushing, at, onRead } = props;
  const { domain, step, xOf, valueAt } = readout;
  const group = useRef<SVGGElement>(null);
  const brush = useRef<Brush>(undefined);
  const isBrushable = brushing !== undefined;
  const options = brushing && {
    range: brushing.range,
    bounds: domain,
    step,
    // Measured from the left edge of the SVG, because the group has no meaningful box.
    valueAt,
    onBrush: brushing.onBrush,
  };
  useEffect(() => {
    if (options) brush.current?.update(options);
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: created once; the effect above passes updates
  useEffect(() => {
    const svg = group.current?.ownerSVGElement;
    if (!isBrushable || !svg || !options) return;
    const created = createBrush(svg, options);
    brush.current = created;
    return () => {
      brush.current = undefined;
      created.destroy();
    };
  }, [isBrushable]);

  const middle = (domain[0] + domain[1]) / 2;
  const position = at ?? middle;
  const onPointerMove = (event: PointerEvent<SVGGElement>) => {
    const left = event.currentTarget.ownerSVGElement?.getBoundingClientRect().left ?? 0;
    onRead(Math.min(domain[1], Math.max(domain[0], valueAt(event.clientX - left))));
  };
  const onKeyDown = (event: KeyboardEvent<SVGRectElement>) => {
    const delta = keyedDelta(event.key, step);
    const next =
      event.key === 'Home'
        ? domain[0]
        : event.key === 'End'
          ? domain[1]
          : delta === undefined
            ? undefined
            : position + delta;
    if (next !== undefined) {
      event.preventDefault();
      onRead(Math.min(domain[1], Math.max(domain[0], next)));
    } else if (event.key === 'Escape') {
      onRead(undefined);
      brushing?.onBrush(undefined, 'end');
    } else if ((event.key === 'Enter' || event.key === ' ') && brushing) {
      event.preventDefault();
      brushing.onBrush([Math.max(domain[0], position - 2 * step), Math.min(domain[1], position + 2 * step)], 'end');
    }
  };
  const top = margins.top;
  const innerHeight = heightPx - margins.top - margins.bottom;
  return (
    <g ref={group} data-screen-only="" onPointerMove={onPointerMove} onPointerLeave={() => onRead(undefined)}>
      <rect
        className="chart-ground"
        data-brush={brushing ? 'ground' : undefined}
        x={margins.left}
        y={top}
        width={Math.max(0, widthPx - margins.left - margins.right)}
        height={innerHeight}
        tabIndex={0}
        role="slider"
        aria-label={`Read ${title} at`}
        aria-valuemin={domain[0]}
        aria-valuemax={domain[1]}
        aria-valuenow={position}
        aria-valuetext={readout.textAt(position)}
        aria-description={
          brushing
            ? 'Arrow keys move the cursor; Enter selects a range around it; Escape clears the selection.'
            : undefined
        }
        onKeyDown={onKeyDown}
        onFocus={(event) => {
          if (event.currentTarget.matches(':focus-visible')) onRead(position);
        }}
        onBlur={() => onRead(undefined)}
      />
      {brushing?.range && (
        <BrushShape range={brushing.range} readout={readout} topPx={top} heightPx={innerHeight} title={title} />
      )}
      {at !== undefined && <line className="chart-cursor" x1={xOf(at)} x2={xOf(at)} y1={top} y2={top + innerHeight} />}
    </g>
  );
}

function BrushShape(props: {
  readonly range: Range;
  readonly readout: Readout;
  readonly topPx: number;
  readonly heightPx: number;
  readonly title: string;
}) {
  const { range, readout, topPx, heightPx, title } = props;
  const [left, right] = [readout.xOf(range[0]), readout.xOf(range[1])];
  const [min, max] = readout.domain;
  const handle = (part: BrushPart, value: number, atPx: number, min: number, max: number) => (
    <g
      className="brush-handle"
      data-brush={part}
      tabIndex={0}
      role="slider"
      aria-label={`${title}, ${part === 'low' ? 'from' : 'to'}`}
      aria-valuemin={min}
      aria-valuemax={max}
      aria-valuenow={value}
      aria-valuetext={`${readout.format(value)} ${readout.axis}`}
      transform={`translate(${atPx} ${topPx})`}
    >
      <rect x={-8} width={16} height={heightPx} fill="transparent" />
      <line y2={heightPx} />
      <rect className="brush-grip" x={-4} y={heightPx / 2 - 11} width={8} height={22} rx={3} />
    </g>
  );
  return (
    <g className="brush">
      <rect
        className="brush-selection"
        data-brush="selection"
        x={left}
        y={topPx}
        width={Math.max(0, right - left)}
        height={heightPx}
      />
      {handle('low', range[0], left, min, range[1])}
      {handle('high', range[1], right, range[0], max)}
    </g>
  );
}
