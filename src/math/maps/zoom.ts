// A look at a part of a box: its point p (0..1 on each axis) is shown at `scale * p + x`, so that scale 1 is all of it.

export interface Zoom {
  readonly scale: number;
  /** 1 - scale .. 0, as the y. */
  readonly x: number;
  readonly y: number;
}

export const wholeView: Zoom = { scale: 1, x: 0, y: 0 };
export const mostZoom = 8;

/** No further in than `mostZoom`, and never past the box's edges. */
export function clampZoom({ scale, x, y }: Zoom): Zoom {
  const clamped = Math.min(mostZoom, Math.max(1, scale));
  const within = (at: number) => Math.min(0, Math.max(1 - clamped, at));
  return { scale: clamped, x: within(x), y: within(y) };
}

/** Zooms so that the point of the box stays where it is on screen, as far as the edges allow. */
export function zoomAbout(zoom: Zoom, factor: number, point: { readonly x: number; readonly y: number }): Zoom {
  const scale = Math.min(mostZoom, Math.max(1, zoom.scale * factor));
  const keep = (at: number, offset: number) => zoom.scale * at + offset - scale * at;
  return clampZoom({ scale, x: keep(point.x, zoom.x), y: keep(point.y, zoom.y) });
}

/** The least move that brings a part of the box, in its shares, into view. */
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
