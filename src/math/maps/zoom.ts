// A view of part of a box: point p (0..1 on each axis) is shown at `scale * p + x`, so scale 1 shows the complete box.

export interface Zoom {
  readonly scale: number;
  /** From 1 - scale to 0; the same applies to `y`. */
  readonly x: number;
  readonly y: number;
}

export const wholeView: Zoom = { scale: 1, x: 0, y: 0 };
export const maxZoom = 8;

/** Clamps the scale to 1..`maxZoom`, and the offset so that the image still covers the box. */
export function clampZoom({ scale, x, y }: Zoom): Zoom {
  const clamped = Math.min(maxZoom, Math.max(1, scale));
  const within = (at: number) => Math.min(0, Math.max(1 - clamped, at));
  return { scale: clamped, x: within(x), y: within(y) };
}

/** Zooms about a point of the box, which stays in place on screen as far as the edges allow. */
export function zoomAbout(zoom: Zoom, factor: number, point: { readonly x: number; readonly y: number }): Zoom {
  const scale = Math.min(maxZoom, Math.max(1, zoom.scale * factor));
  const keep = (at: number, offset: number) => zoom.scale * at + offset - scale * at;
  return clampZoom({ scale, x: keep(point.x, zoom.x), y: keep(point.y, zoom.y) });
}

/** Moves as little as needed to bring a part of the box (in shares of the box) into view. */
export function zoomShowing(
  zoom: Zoom,
  part: { readonly left: number; readonly top: number; readonly width: number; readonly height: number },
): Zoom {
  const shown = (offset: number, start: number, size: number) => {
    const from = zoom.scale * start + offset;
    const past = zoom.scale * (start + size) + offset - 1;
    if (from < 0) return offset - from;
    return past > 0 ? offset - past : offset;
  };
  const next = { ...zoom, x: shown(zoom.x, part.left, part.width), y: shown(zoom.y, part.top, part.height) };
  return next.x === zoom.x && next.y === zoom.y ? zoom : clampZoom(next);
}
