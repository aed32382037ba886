import { type KeyboardEvent, memo, useLayoutEffect, useMemo, useRef } from 'react';
import { type MethodId, methods } from '../../contract/methods';
import type { AnswerToken, RelevancyMap } from '../../contract/run';
import type { ColourTable } from '../../marks/colour-table';
import { drawHeatmap } from '../../marks/heatmap';
import { percentiles, sharesOfMaximum } from '../../math/maps/map-scales';
import { summariseMap } from '../../math/maps/map-values';
import { type Grid, type Placement, patchAtIndex } from '../../math/maps/patch-geometry';
import { type Choices, useChoices } from '../../state/choices';
import { trackOf, useExplaining } from '../../state/explain-session';
import { readValues } from '../../state/panel-map';
import { extendSelection, pickedOrShown, pickToken } from '../../state/token-selection';
import { formatCount } from '../../text/number-format';
import { tokenAfterKey } from '../../text/token-words';
import { shortened } from '../../text/visible-text';
import { MethodSelect } from '../shared/method-select';
import { HeadWarning } from '../stage/head-warning';
import { layerTable, placed, type StageImage } from '../stage/map-stage';
import { Progress } from '../stage/method-progress';
import type { ShownComparison } from './use-shown-comparison';
import './token-strip.css';

const selectPointed = (choices: Choices) => choices.pointedToken;

/** One method's maps of all tokens, in order: a listbox with one tab stop, like the answer's. */
export function TokenStrip({ shown, image }: { readonly shown: ShownComparison; readonly image: StageImage }) {
  const { record, run, selected, stripMethod: method, offers, setCompare, settings, frame, compare } = shown;
  const { colours, layer } = settings;
  const list = useRef<HTMLDivElement>(null);
  const table = useMemo(() => layerTable(colours, layer), [colours, layer]);
  const track = useExplaining((state) => trackOf(state, record.id, method));
  const pointed = useChoices(selectPointed);
  const tabStop = selected.at(-1) ?? 0;
  const done = run.tokens.filter(({ index }) => run.mapOf(index, method) !== undefined).length;
  const isPartial = done < run.tokens.length;

  const choose = (index: number, isExtending: boolean) => {
    const { selection, select, pointToken, unit } = useChoices.getState();
    const from = pickedOrShown(selection, selected);
    select(isExtending ? extendSelection(run.tokens, from, index, unit) : pickToken(run.tokens, index, unit));
    pointToken(undefined);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const here = indexUnder(event.target) ?? tabStop;
    const isPick = event.key === ' ' || event.key === 'Enter';
    const next = isPick ? here : tokenAfterKey(run.tokens, here, event.key, false);
    if (next === undefined) return;
    choose(next, event.shiftKey);
    list.current?.querySelector<HTMLElement>(`[data-strip="${next}"]`)?.focus();
    event.preventDefault();
  };

  return (
    <section className="strip-part" aria-label="All tokens">
      <div className="part-head">
        <h2 className="part-title">Maps of all tokens by</h2>
        <MethodSelect
          label="Method of the strip"
          method={method}
          offers={offers}
          onChange={(strip) => void setCompare({ strip })}
        />
        <div className="strip-progress">
          {isPartial && <strong>Partial: </strong>}
          <Progress shown={shown} method={method} track={track} />
        </div>
      </div>
      {method === 'fastrm' && <HeadWarning header={run.header} />}
      <div
        ref={list}
        className="strip"
        role="listbox"
        aria-label={`Maps of all tokens, ${methods[method].name}`}
        aria-multiselectable="true"
        aria-orientation="horizontal"
        tabIndex={run.tokens.length === 0 ? 0 : -1}
        onKeyDown={onKeyDown}
        onClick={(event) => {
          const index = indexUnder(event.target);
          if (index !== undefined) choose(index, event.shiftKey);
        }}
      >
        {run.tokens.map((token) => (
          <StripCell
            key={token.index}
            token={token}
            map={run.mapOf(token.index, method)}
            scale={compare.values}
            image={image}
            placement={frame.placement}
            first={frame.placement.first}
            table={table}
            opacity={settings.opacityPercent / 100}
            isSmooth={settings.patches === 'smooth'}
            isSelected={selected.includes(token.index)}
            isPointed={pointed === token.index}
            isTabStop={token.index === tabStop}
          />
        ))}
      </div>
      <p className="panel-text">
        {formatCount(run.tokens.length, 'token', 'tokens')}; {stripWords(method, compare.values)}
      </p>
    </section>
  );
}

function stripWords(method: MethodId, scale: ShownComparison['compare']['values']): string {
  if (scale === 'rank') return 'colours show ranks within each map.';
  return scale === 'given' && methods[method].values === 'probability'
    ? 'colours show probabilities on one scale.'
    : 'colours show shares of each map’s maximum: where, not how much.';
}

function peakWords(values: Float32Array, grid: Grid): string {
  const { min, max, maxIndex } = summariseMap(values);
  if (min === max) return 'all patches equal';
  const { row, col } = patchAtIndex(grid, maxIndex);
  return `peak at row ${row + 1}, column ${col + 1}`;
}

function indexUnder(target: EventTarget): number | undefined {
  const cell = target instanceof Element ? target.closest<HTMLElement>('[data-strip]') : null;
  return cell ? Number(cell.dataset.strip) : undefined;
}

interface StripCellProps {
  readonly token: AnswerToken;
  readonly map: RelevancyMap | undefined;
  readonly scale: ShownComparison['compare']['values'];
  readonly image: StageImage;
  readonly placement: Placement;
  readonly first: number;
  readonly table: ColourTable;
  readonly opacity: number;
  readonly isSmooth: boolean;
  readonly isSelected: boolean;
  readonly isPointed: boolean;
  readonly isTabStop: boolean;
}

const StripCell = memo(function StripCell(props: StripCellProps) {
  const { token, map, scale, image, placement, first, table, opacity, isSmooth } = props;
  const { isSelected, isPointed, isTabStop } = props;
  const { grid, crop, sourceWidthPx, sourceHeightPx } = placement;
  const canvas = useRef<HTMLCanvasElement>(null);
  const values = useMemo(() => {
    if (map === undefined) return undefined;
    const shares = () => sharesOfMaximum(map.values);
    const whole = scale === 'given' ? readValues(map) : shares();
    const ofFrame = whole.subarray(first, first + grid.rows * grid.cols);
    return scale === 'rank' ? percentiles(ofFrame) : ofFrame;
  }, [map, scale, first, grid]);
  useLayoutEffect(() => {
    if (canvas.current && values) drawHeatmap(canvas.current, { values, grid, domain: [0, 1], table });
  }, [values, grid, table]);
  const whole = token.text.trim() || '␣';
  const text = shortened(whole);
  const peak = useMemo(() => values && peakWords(values, grid), [values, grid]);
  return (
    <div
      className="strip-cell"
      role="option"
      aria-selected={isSelected}
      aria-label={`${text}, ${peak ?? 'no map yet'}`}
      tabIndex={isTabStop ? 0 : -1}
      data-strip={token.index}
      data-pointed={isPointed || undefined}
    >
      <span className="strip-image" style={{ aspectRatio: `${crop.widthPx} / ${crop.heightPx}` }}>
        <img
          src={image.url}
          alt=""
          style={placed(crop, { xPx: 0, yPx: 0, widthPx: sourceWidthPx, heightPx: sourceHeightPx })}
        />
        {values ? (
          <canvas
            ref={canvas}
            className="stage-map"
            data-patches={isSmooth ? 'smooth' : 'nearest'}
            style={{ opacity }}
          />
        ) : (
          <span className="strip-empty" />
        )}
      </span>
      <span className="strip-text" title={whole}>
        {text}
      </span>
    </div>
  );
});
