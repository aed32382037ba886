import { type CSSProperties, useLayoutEffect, useMemo, useRef } from 'react';
import type { ImageGeometry } from '../contract/run';
import { type ColourTable, createColourTable } from '../marks/colour-table';
import { drawHeatmap } from '../marks/heatmap';
import { summariseMap } from '../math/map-values';
import { type Rect, shareBox, unseenShare } from '../math/patch-geometry';
import { outlinePathData, traceOutline } from '../math/threshold-outline';
import type { ShownMap } from '../state/token-selection';
import type { ViewSettings } from '../state/view-settings';
import { colourMaps } from '../theme/colour-maps';
import { PatchGrid } from './patch-grid';
import './stage.css';

export interface StageImage {
  readonly url: string;
  readonly alt: string;
  readonly widthPx: number;
  readonly heightPx: number;
}

interface StageProps {
  readonly image: StageImage | undefined;
  /** Undefined for an image that was not asked about yet: then nobody knows what the model will see of it. */
  readonly geometry: ImageGeometry | undefined;
  readonly map: ShownMap | undefined;
  readonly threshold: number;
  readonly settings: ViewSettings;
}

/** The image with its map, in a box whose size does not depend on the image. */
export function Stage({ image, geometry, map, threshold, settings }: StageProps) {
  return (
    <div className="stage-box">
      {image && (
        <div className="stage-frame" style={{ '--ratio': image.widthPx / image.heightPx } as CSSProperties}>
          <img className="stage-image" src={image.url} alt={image.alt} width={image.widthPx} height={image.heightPx} />
          {geometry && <Unseen geometry={geometry} />}
          {geometry && map && (
            <div className="stage-crop" style={placed(geometry, geometry.crop)}>
              <MapCanvas map={map} geometry={geometry} settings={settings} />
              <Outline map={map} geometry={geometry} threshold={threshold} />
              <PatchGrid map={map} geometry={geometry} />
            </div>
          )}
        </div>
      )}
    </div>
  );
}

function placed(geometry: ImageGeometry, rect: Rect): CSSProperties {
  const box = shareBox(geometry.sourceWidthPx, geometry.sourceHeightPx, rect);
  return {
    left: `${box.left * 100}%`,
    top: `${box.top * 100}%`,
    width: `${box.width * 100}%`,
    height: `${box.height * 100}%`,
  };
}

/** A veil over what the preprocessing cut off. */
function Unseen({ geometry }: { readonly geometry: ImageGeometry }) {
  const { sourceWidthPx: width, sourceHeightPx: height, crop } = geometry;
  if (unseenShare(geometry) === 0) return null;
  const whole = `M0 0H${width}V${height}H0Z`;
  const seen = `M${crop.xPx} ${crop.yPx}h${crop.widthPx}v${crop.heightPx}h${-crop.widthPx}Z`;
  return (
    <svg className="stage-unseen" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={`${whole}${seen}`} fillRule="evenodd" />
    </svg>
  );
}

export function domainOf(map: ShownMap, settings: ViewSettings): readonly [number, number] {
  if (settings.scale === 'fixed') return [0, 1];
  const { min, max } = summariseMap(map.values);
  return [min, max];
}

/** At 0.2 the image keeps its colours where nothing is relevant, and the whole map still reads as one layer. */
const fadedAlpha = 0.2;

export function layerTable(colours: ViewSettings['colours'], layer: ViewSettings['layer']): ColourTable {
  return createColourTable(colourMaps[colours].colourAt, layer === 'faded' ? fadedAlpha : 1);
}

function MapCanvas(props: {
  readonly map: ShownMap;
  readonly geometry: ImageGeometry;
  readonly settings: ViewSettings;
}) {
  const { map, geometry, settings } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const table = useMemo(() => layerTable(settings.colours, settings.layer), [settings.colours, settings.layer]);
  // Before the browser paints: the click that chose this map and its pixels share a frame.
  useLayoutEffect(() => {
    if (canvas.current === null) return;
    drawHeatmap(canvas.current, { values: map.values, grid: geometry.grid, domain: domainOf(map, settings), table });
  }, [map, geometry, settings, table]);
  return (
    <canvas
      ref={canvas}
      className="stage-map"
      data-patches={settings.patches}
      style={{ opacity: settings.opacityPercent / 100 }}
    />
  );
}

function Outline(props: { readonly map: ShownMap; readonly geometry: ImageGeometry; readonly threshold: number }) {
  const { map, geometry, threshold } = props;
  const path = useMemo(
    () => outlinePathData(traceOutline(map.values, geometry.grid, threshold)),
    [map, geometry, threshold],
  );
  const { rows, cols } = geometry.grid;
  return (
    <svg className="stage-outline" viewBox={`0 0 ${cols} ${rows}`} preserveAspectRatio="none" aria-hidden="true">
      <path className="outline-casing" d={path} />
      <path className="outline-line" d={path} />
    </svg>
  );
}
