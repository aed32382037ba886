import { useLayoutEffect, useMemo, useRef } from 'react';
import { type MethodId, methods } from '../../contract/methods';
import { createDivergingTable } from '../../marks/colour-table';
import { drawColourBar } from '../../marks/legend';
import { signPathData } from '../../marks/signs';
import { differenceOf } from '../../math/maps/map-scales';
import { areOfSameTokens, comparableValues, type PanelDrawings } from '../../state/panel-map';
import { divergingColourAt, divergingNames } from '../../theme/diverging-colours';
import { MethodSelect } from '../shared/method-select';
import { formatSigned } from '../shared/values';
import { HeadWarning } from '../stage/head-warning';
import { LegendAxis, type LegendTick } from '../stage/legend-axis';
import { MapCanvas, type StageImage } from '../stage/map-stage';
import { PatchGrid } from '../stage/patch-grid';
import { PanelReadout } from './panel-readout';
import type { ShownComparison } from './use-shown-comparison';
import { ZoomStage } from './zoom-stage';

const signedScale = [-1, 1] as const;
const signedTicks: readonly LegendTick[] = [-1, -0.5, 0, 0.5, 1].map((value) => ({
  at: (value + 1) / 2,
  text: value === 0 ? '0' : value > 0 ? `+${value}` : `−${-value}`,
}));
/** Patches with at least this absolute difference are marked with its sign. */
const minSigned = 0.2;
/** Opacity of the middle colour, so that the image shows through where both maps agree. */
const fadedAlpha = 0.12;

/** First map minus second, per patch: in shares of each map's maximum, or in percentiles if ranks are shown. */
export function DifferencePanel(props: {
  readonly shown: ShownComparison;
  readonly image: StageImage;
  readonly pair: readonly [MethodId, MethodId];
  readonly drawings: PanelDrawings;
}) {
  const { shown, image, pair, drawings } = props;
  const { panels, offers, frame, settings, compare, setCompare } = shown;
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
  const signs = useMemo(() => values && signPathData(values, placement.grid, minSigned), [values, placement.grid]);
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
          label="Method to subtract from"
          method={first}
          offers={offers}
          among={panels}
          onChange={(method) => choose(0, method)}
        />
        <span aria-hidden="true">−</span>
        <MethodSelect
          label="Method to subtract"
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
              label="Patches of the difference. Arrow keys move in all panels; plus and minus zoom; 0 shows the whole image."
              formatPatch={formatSigned}
            />
          </>
        ) : (
          <p className="panel-none">
            {a?.kind === 'map' && b?.kind === 'map'
              ? 'One method has no map for some of these tokens, so the difference cannot be shown yet'
              : 'A difference needs both maps'}
          </p>
        )}
      </ZoomStage>
      <PanelReadout values={values} grid={placement.grid} formatPatch={formatSigned} />
      <SignedLegend />
      {values && pair.includes('fastrm') && <HeadWarning header={shown.run.header} />}
      <p className="panel-text">
        + and {divergingNames.positive}: {methods[first].name} is higher. − and {divergingNames.negative}:{' '}
        {methods[second].name} is higher. In {unit}; signs mark differences of at least {minSigned}.
      </p>
    </section>
  );
}

function SignedLegend() {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    // Positions 0 to 1 on the bar represent differences from -1 (left) to 1 (right).
    if (canvas.current) drawColourBar(canvas.current, [0, 1], createDivergingTable(divergingColourAt));
  }, []);
  return (
    <div className="signed-legend">
      <canvas ref={canvas} className="signed-bar" />
      <LegendAxis ticks={signedTicks} />
    </div>
  );
}
