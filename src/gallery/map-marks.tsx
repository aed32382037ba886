import { type ReactNode, useEffect, useLayoutEffect, useRef } from 'react';
import { createColourTable, createDivergingTable } from '../marks/colour-table';
import { drawFigure } from '../marks/figure';
import { drawColourBar, histogramPathData } from '../marks/legend';
import { signPathData } from '../marks/signs';
import { differenceOf } from '../math/maps/map-scales';
import { summariseMap } from '../math/maps/map-values';
import type { Placement } from '../math/maps/patch-geometry';
import { outlinePathData, traceOutline } from '../math/maps/threshold-outline';
import { wholeView, zoomAbout } from '../math/maps/zoom';
import { countValues, evenEdges } from '../math/statistics/histogram';
import { setZoom } from '../state/shared-zoom';
import { colourMapNames, colourMaps } from '../theme/colour-maps';
import { divergingColourAt } from '../theme/diverging-colours';
import { ZoomStage } from '../views/compare/zoom-stage';
import { layerTable, MapCanvas, Outline, StageFrame, type StageImage } from '../views/stage/map-stage';
import { PatchGrid } from '../views/stage/patch-grid';
import { croppedImage, croppedPlacement, grid, image, map, otherMap, placement } from './sample-map';
import '../views/stage/legend.css';

const wholeScale = [0, 1] as const;
const crisp = { patches: 'nearest', opacityPercent: 100 } as const;
const threshold = 0.4;

function Stage(props: { readonly image: StageImage; readonly placement: Placement; readonly children: ReactNode }) {
  return (
    <div className="stage-box">
      <StageFrame image={props.image} placement={props.placement}>
        {props.children}
      </StageFrame>
    </div>
  );
}

const Captioned = ({ caption, children }: { readonly caption: string; readonly children: ReactNode }) => (
  <figure className="gallery-captioned">
    {children}
    <figcaption>{caption}</figcaption>
  </figure>
);

/** Each colour map as an opaque layer, then one as a faded layer, with sharp and with smooth patches. */
export function Heatmaps() {
  return (
    <div className="gallery-row">
      {colourMapNames.map((name) => (
        <Captioned key={name} caption={colourMaps[name].name}>
          <Stage image={image} placement={placement}>
            <MapCanvas values={map} grid={grid} domain={wholeScale} table={layerTable(name, 'even')} settings={crisp} />
          </Stage>
        </Captioned>
      ))}
      {(['nearest', 'smooth'] as const).map((patches) => (
        <Captioned key={patches} caption={patches === 'nearest' ? 'Faded' : 'Faded, smooth'}>
          <Stage image={image} placement={placement}>
            <MapCanvas
              values={map}
              grid={grid}
              domain={wholeScale}
              table={layerTable('cividis', 'faded')}
              settings={{ patches, opacityPercent: 85 }}
            />
          </Stage>
        </Captioned>
      ))}
    </div>
  );
}

export function Outlines() {
  return (
    <div className="gallery-row">
      {[0.2, threshold, 0.8].map((at) => (
        <Captioned key={at} caption={`At or above ${at}`}>
          <Stage image={image} placement={placement}>
            <MapCanvas
              values={map}
              grid={grid}
              domain={wholeScale}
              table={layerTable('cividis', 'faded')}
              settings={crisp}
            />
            <Outline values={map} grid={grid} threshold={at} />
          </Stage>
        </Captioned>
      ))}
    </div>
  );
}

export function Signs() {
  const difference = differenceOf(map, otherMap);
  const signs = signPathData(difference, grid, 0.2);
  return (
    <div className="gallery-row">
      <Captioned caption="First minus second">
        <Stage image={image} placement={placement}>
          <MapCanvas
            values={difference}
            grid={grid}
            domain={[-1, 1]}
            table={createDivergingTable(divergingColourAt, 0.12)}
            settings={crisp}
          />
          <svg className="stage-outline" viewBox={`0 0 ${grid.cols} ${grid.rows}`} aria-hidden="true">
            <path className="outline-casing" d={signs} />
            <path className="outline-line" d={signs} />
          </svg>
        </Stage>
      </Captioned>
      <SignedBar />
    </div>
  );
}

function SignedBar() {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    if (canvas.current) drawColourBar(canvas.current, wholeScale, createDivergingTable(divergingColourAt));
  }, []);
  return (
    <Captioned caption="From −1 to +1">
      <canvas ref={canvas} className="gallery-bar" />
    </Captioned>
  );
}

/** The page's legend without its slider: a histogram of patch values over the colour bar. */
export function Legends() {
  const { min, max } = summariseMap(map);
  return (
    <div className="gallery-stack">
      {colourMapNames.map((name) => (
        <ColourBar key={name} caption={`${colourMaps[name].name}, 0 to 1`} colours={name} domain={wholeScale} />
      ))}
      <ColourBar caption="Cividis, the map’s own range" colours="cividis" domain={[min, max]} />
    </div>
  );
}

function ColourBar(props: {
  readonly caption: string;
  readonly colours: keyof typeof colourMaps;
  readonly domain: readonly [number, number];
}) {
  const { caption, colours, domain } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    if (canvas.current) drawColourBar(canvas.current, domain, createColourTable(colourMaps[colours].colourAt));
  }, [colours, domain]);
  return (
    <Captioned caption={caption}>
      <div className="legend-track">
        <svg className="legend-bins" viewBox="0 0 512 26" preserveAspectRatio="none" aria-hidden="true">
          <path d={histogramPathData(countValues(map, evenEdges(0, 1, 64)).counts, { widthPx: 512, heightPx: 26 })} />
        </svg>
        <canvas ref={canvas} className="legend-bar" />
      </div>
    </Captioned>
  );
}

/** Two stages with a shared view. Zoom with Ctrl + wheel or by pinching; drag to pan. */
export function Zooms() {
  useEffect(() => {
    setZoom(zoomAbout(wholeView, 3, { x: 0.32, y: 0.54 }));
    return () => setZoom(wholeView);
  }, []);
  return (
    <div className="gallery-row">
      {[map, otherMap].map((values, i) => (
        <Captioned key={values === map ? 'first' : 'second'} caption={i === 0 ? 'First' : 'Second'}>
          <ZoomStage image={image} placement={placement}>
            <MapCanvas
              values={values}
              grid={grid}
              domain={wholeScale}
              table={layerTable('cividis', 'faded')}
              settings={crisp}
            />
            <Outline values={values} grid={grid} threshold={threshold} />
            <PatchGrid values={values} placement={placement} label={`Patches of map ${i + 1}`} />
          </ZoomStage>
        </Captioned>
      ))}
    </div>
  );
}

/** The canvas that "Save" writes: image, veil, map, outline and caption. */
export function Figures() {
  const home = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = document.createElement('img');
    let isGone = false;
    element.src = croppedImage.url;
    void element.decode().then(() => {
      if (isGone) return;
      const canvas = drawFigure(document, {
        image: element,
        placement: croppedPlacement,
        values: map,
        domain: wholeScale,
        table: layerTable('cividis', 'faded'),
        opacity: 1,
        isSmooth: false,
        outline: outlinePathData(traceOutline(map, grid, threshold)),
        caption: ['“red”, FastRM', 'Outlined at or above 0.4'],
      });
      home.current?.replaceChildren(canvas);
    });
    return () => {
      isGone = true;
    };
  }, []);
  return <div ref={home} className="gallery-figure" />;
}
