import { type CSSProperties, type ReactNode, useLayoutEffect, useMemo, useRef } from 'react';
import { type ColourTable, createColourTable } from '../../marks/colour-table';
import { drawHeatmap } from '../../marks/heatmap';
import { summariseMap } from '../../math/maps/map-values';
import { extentOf, type Grid, type Placement, type Rect, shareBox, unseenShare } from '../../math/maps/patch-geometry';
import { outlinePathData, traceOutline } from '../../math/maps/threshold-outline';
import type { PanelMap } from '../../state/panel-map';
import type { ViewSettings } from '../../state/view-settings';
import { colourMaps } from '../../theme/colour-maps';
import { formatInScale } from '../shared/values';
import { PatchGrid } from './patch-grid';
import './map-stage.css';

export interface StageImage {
  readonly url: string;
  readonly alt: string;
  readonly widthPx: number;
  readonly heightPx: number;
}

interface MapStageProps {
  readonly image: StageImage;
  /** Placement of the shown frame. */
  readonly placement: Placement;
  readonly map: PanelMap | undefined;
  readonly settings: ViewSettings;
}

/** The image and its map, in a box whose size does not depend on the image. */
export function MapStage({ image, placement, map, settings }: MapStageProps) {
  const domain = useMemo(() => map && domainOf(map, settings), [map, settings]);
  const table = useMemo(() => layerTable(settings.colours, settings.layer), [settings.colours, settings.layer]);
  return (
    <div className="stage-box">
      <StageFrame image={image} placement={placement}>
        {map && domain && (
          <>
            <MapCanvas values={map.values} grid={placement.grid} domain={domain} table={table} settings={settings} />
            <Outline values={map.values} grid={placement.grid} threshold={map.threshold} />
            <PatchGrid
              values={map.values}
              placement={placement}
              label="Patches of the map. Arrow keys move between patches; Enter marks the words that used the current patch."
              formatPatch={(value) => formatInScale('given', map.method, value)}
            />
          </>
        )}
      </StageFrame>
    </div>
  );
}

/**
 * The image fitted to its box. The part that the model does not see is veiled, and `children` lie over the frame's
 * crop.
 */
export function StageFrame(props: {
  readonly image: StageImage;
  readonly placement: Placement;
  readonly style?: CSSProperties;
  readonly children: ReactNode;
}) {
  const { image, placement, style, children } = props;
  const extent = extentOf(placement);
  const whole = { xPx: 0, yPx: 0, widthPx: placement.sourceWidthPx, heightPx: placement.sourceHeightPx };
  return (
    <div className="stage-frame" style={{ '--ratio': extent.widthPx / extent.heightPx, ...style } as CSSProperties}>
      <img
        className="stage-image"
        style={placed(extent, whole)}
        src={image.url}
        alt={image.alt}
        width={image.widthPx}
        height={image.heightPx}
      />
      <Unseen placement={placement} style={placed(extent, whole)} />
      {children && (
        <div className="stage-crop" style={placed(extent, placement.crop)}>
          {children}
        </div>
      )}
    </div>
  );
}

export function placed(extent: Rect, rect: Rect): CSSProperties {
  const box = shareBox(extent, rect);
  return {
    left: `${box.left * 100}%`,
    top: `${box.top * 100}%`,
    width: `${box.width * 100}%`,
    height: `${box.height * 100}%`,
  };
}

/** Veils the part of the image that preprocessing cropped off. */
function Unseen({ placement, style }: { readonly placement: Placement; readonly style: CSSProperties }) {
  const { sourceWidthPx: width, sourceHeightPx: height, crop } = placement;
  if (unseenShare(placement) === 0) return null;
  const whole = `M0 0H${width}V${height}H0Z`;
  const seen = `M${crop.xPx} ${crop.yPx}h${crop.widthPx}v${crop.heightPx}h${-crop.widthPx}Z`;
  return (
    <svg
      className="stage-unseen"
      style={style}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path d={`${whole}${seen}`} fillRule="evenodd" />
    </svg>
  );
}

export function domainOf(map: Pick<PanelMap, 'values'>, settings: ViewSettings): readonly [number, number] {
  if (settings.scale === 'fixed') return [0, 1];
  const { min, max } = summariseMap(map.values);
  return [min, max];
}

/** At 0.2, irrelevant areas keep the image's colours, but the map still reads as one layer. */
const fadedAlpha = 0.2;

export function layerTable(colours: ViewSettings['colours'], layer: ViewSettings['layer']): ColourTable {
  return createColourTable(colourMaps[colours].colourAt, layer === 'faded' ? fadedAlpha : 1);
}

export function MapCanvas(props: {
  readonly values: Float32Array;
  readonly grid: Grid;
  readonly domain: readonly [number, number];
  readonly table: ColourTable;
  readonly settings: Pick<ViewSettings, 'patches' | 'opacityPercent'>;
}) {
  const { values, grid, domain, table, settings } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  // Draw before the browser paints, so that the map appears together with the selection.
  useLayoutEffect(() => {
    if (canvas.current !== null) drawHeatmap(canvas.current, { values, grid, domain, table });
  }, [values, grid, domain, table]);
  return (
    <canvas
      ref={canvas}
      className="stage-map"
      data-patches={settings.patches}
      style={{ opacity: settings.opacityPercent / 100 }}
    />
  );
}

export function Outline(props: { readonly values: Float32Array; readonly grid: Grid; readonly threshold: number }) {
  const { values, grid, threshold } = props;
  const path = useMemo(() => outlinePathData(traceOutline(values, grid, threshold)), [values, grid, threshold]);
  return (
    <svg
      className="stage-outline"
      viewBox={`0 0 ${grid.cols} ${grid.rows}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <path className="outline-casing" d={path} />
      <path className="outline-line" d={path} />
    </svg>
  );
}
