import { useLayoutEffect, useMemo, useRef } from 'react';
import { type MethodId, methods } from '../../contract/methods';
import { createDivergingTable } from '../../marks/colour-table';
import { drawColourBar } from '../../marks/legend';
import { signPathData } from '../../marks/signs';
import { differenceOf } from '../../math/maps/map-scales';
import { areOfSameTokens, comparableValues, type PanelDrawings } from '../../state/panel-map';
import { divergingColourAt, divergingNames } from '../../theme/diverging-colours';
import { PatchGrid } from '../stage/patch-grid';
import { MapCanvas, type StageImage } from '../stage/stage';
import { MethodSelect } from './method-select';
import { PanelReadout } from './panel-readout';
import type { CompareBench } from './use-compare';
import { formatSigned } from './values';
import { ZoomStage } from './zoom-stage';

const signedScale = [-1, 1] as const;
const ticks = [-1, -0.5, 0, 0.5, 1];
/** Differences from here on carry their sign. */
const leastSigned = 0.2;
/** The middle of the colours is paper: the image must show through where the two agree. */
const fadedAlpha = 0.12;

/** First minus second, patch by patch: in shares of each map's maximum, or in percentiles where ranks are shown. */
export function DifferencePanel(props: {
  readonly bench: CompareBench;
  readonly image: StageImage;
  readonly pair: readonly [MethodId, MethodId];
  readonly drawings: PanelDrawings;
}) {
  const { bench, image, pair, drawings } = props;
  const { panels, offers, frame, settings, compare, setCompare } = bench;
  const { placement } = frame;
  const [first, second] = pair;
  const [a, b] = [drawings.get(first), drawings.get(second)];
  const table = useMemo(
    () => createDivergingTable(divergingColourAt, settings.layer === 'faded' ? fadedAlpha : 1),
    [settings.layer],
  );
  const values = useMemo(() => {
    if (a?.kind !== 'map' || b?.kind !== 'map' || !areOfSameTokens(a.map, b.map)) return undefined;
    return differenceOf(comparableValues(a.map, compare.values), comparableValues(b.map, compare.values));
  }, [a, b, compare.values]);
  const signs = useMemo(() => values && signPathData(values, placement.grid, leastSigned), [values, placement.grid]);
  const unit = compare.values === 'rank' ? 'percentiles' : 'shares of each map’s maximum';

  const choose = (at: 0 | 1, method: MethodId) => {
    const other = pair[at === 0 ? 1 : 0];
    const swapped = method === other ? pair[at] : other;
    void setCompare({ difference: at === 0 ? [method, swapped] : [swapped, method] });
  };
  return (
    <section className="panel difference" aria-label="Difference">
      <div className="panel-head">
        <MethodSelect
          label="Subtract from"
          method={first}
          offers={offers}
          among={panels}
          onChange={(method) => choose(0, method)}
        />
        <span aria-hidden="true">−</span>
        <MethodSelect
          label="What is subtracted"
          method={second}
          offers={offers}
          among={panels}
          onChange={(method) => choose(1, method)}
        />
      </div>
      <ZoomStage image={image} placement={placement}>
        {values ? (
          <>
            <MapCanvas values={values} grid={placement.grid} domain={signedScale} table={table} settings={settings} />
            <svg
              className="stage-outline difference-signs"
              viewBox={`0 0 ${placement.grid.cols} ${placement.grid.rows}`}
              preserveAspectRatio="none"
              aria-hidden="true"
            >
              <path className="outline-casing" d={signs} />
              <path className="outline-line" d={signs} />
            </svg>
            <PatchGrid
              values={values}
              placement={placement}
              label="Patches of the difference. Arrow keys move in all panels, plus and minus zoom, 0 shows all."
              formatPatch={formatSigned}
            />
          </>
        ) : (
          <p className="panel-none">
            {a?.kind === 'map' && b?.kind === 'map'
              ? 'One of the two lacks a map of some of these tokens: there is no difference yet'
              : 'Both maps are needed for their difference'}
          </p>
        )}
      </ZoomStage>
      <PanelReadout values={values} grid={placement.grid} formatPatch={formatSigned} />
      <SignedLegend />
      <p className="panel-says">
        + and {divergingNames.positive}: {methods[first].name} has more. − and {divergingNames.negative}:{' '}
        {methods[second].name} has more. In {unit}; signs from {leastSigned} on.
      </p>
    </section>
  );
}

function SignedLegend() {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    // The bar's own axis is 0..1: -1 at its left end, 1 at its right.
    if (canvas.current) drawColourBar(canvas.current, [0, 1], createDivergingTable(divergingColourAt));
  }, []);
  return (
    <div className="signed-legend">
      <canvas ref={canvas} className="signed-bar" />
      <div className="legend-axis mono" aria-hidden="true">
        {ticks.map((tick) => (
          <span key={tick} style={{ left: `${(tick + 1) * 50}%` }}>
            {tick === 0 ? '0' : tick > 0 ? `+${tick}` : `−${-tick}`}
          </span>
        ))}
      </div>
    </div>
  );
}
