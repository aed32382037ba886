import { type CSSProperties, type KeyboardEvent, type ReactNode, useEffect, useRef } from 'react';
import { createPanZoom, type PanZoom } from '../../marks/pan-zoom';
import { extentOf, type Placement, patchRect, shareBox } from '../../math/maps/patch-geometry';
import { wholeView, type Zoom, zoomAbout, zoomShowing } from '../../math/maps/zoom';
import { useChoices } from '../../state/choices';
import { setZoom, useZoom } from '../../state/shared-zoom';
import { StageFrame, type StageImage } from '../stage/map-stage';
import './zoom-stage.css';

const selectZoom = ({ zoom }: { readonly zoom: Zoom }) => zoom;
const zoomStep = 1.5;
const middle = { x: 0.5, y: 0.5 };

/** A stage in a square box. All zoom stages show the same part of the image. */
export function ZoomStage(props: {
  readonly image: StageImage;
  readonly placement: Placement;
  readonly children: ReactNode;
}) {
  const { image, placement, children } = props;
  const box = useRef<HTMLDivElement>(null);
  const panZoom = useRef<PanZoom>(undefined);
  const zoom = useZoom(selectZoom);

  useEffect(() => {
    if (box.current === null) return;
    const made = createPanZoom(box.current, setZoom);
    panZoom.current = made;
    return () => made.destroy();
  }, []);
  useEffect(() => panZoom.current?.update(zoom), [zoom]);

  const onKeyDown = ({ key }: KeyboardEvent) => {
    if (key === '+' || key === '=') zoomIn(placement);
    else if (key === '-') zoomOut(placement);
    else if (key === '0') setZoom(wholeView);
    else showPointed(placement); // the grid has already moved the cursor to another patch
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: handles keys that the grid inside does not
    <div ref={box} className="stage-box zoom-stage" data-zoomed={zoom.scale > 1 || undefined} onKeyDown={onKeyDown}>
      <StageFrame
        image={image}
        placement={placement}
        style={{ '--zoom': zoom.scale, '--pan-x': zoom.x, '--pan-y': zoom.y } as CSSProperties}
      >
        {children}
      </StageFrame>
    </div>
  );
}

export function zoomIn(placement: Placement): void {
  setZoom(zoomAbout(useZoom.getState().zoom, zoomStep, pointedPoint(placement)));
}

export function zoomOut(placement: Placement): void {
  setZoom(zoomAbout(useZoom.getState().zoom, 1 / zoomStep, pointedPoint(placement)));
}

function showPointed(placement: Placement): void {
  const part = pointedPart(placement);
  if (part) setZoom(zoomShowing(useZoom.getState().zoom, part));
}

/** Centre of the patch under the cursor, else of the picked patch, else of the visible part, as shares of the box. */
function pointedPoint(placement: Placement): { readonly x: number; readonly y: number } {
  const part = pointedPart(placement);
  if (part) return { x: part.left + part.width / 2, y: part.top + part.height / 2 };
  const { scale, x, y } = useZoom.getState().zoom;
  return { x: (middle.x - x) / scale, y: (middle.y - y) / scale };
}

function pointedPart(placement: Placement) {
  const { pointedPatch, pickedPatch } = useChoices.getState();
  const patch = pointedPatch ?? pickedPatch;
  if (patch === undefined) return undefined;
  const extent = extentOf(placement);
  const inFrame = shareBox(extent, patchRect(placement, patch));
  // The frame is fitted to the square and centred.
  const ratio = extent.widthPx / extent.heightPx;
  const [width, height] = [Math.min(1, ratio), Math.min(1, 1 / ratio)];
  return {
    left: (1 - width) / 2 + inFrame.left * width,
    top: (1 - height) / 2 + inFrame.top * height,
    width: inFrame.width * width,
    height: inFrame.height * height,
  };
}
