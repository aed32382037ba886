// Three spaces: the patch grid (row, col), source-image pixels, and shares of the source image (0..1, for CSS percentages).
// The grid covers `crop` exactly; what lies outside of `crop` the model never saw.

export interface Grid {
  readonly rows: number;
  readonly cols: number;
}

export interface Patch {
  readonly row: number;
  readonly col: number;
}

export interface Rect {
  readonly xPx: number;
  readonly yPx: number;
  readonly widthPx: number;
  readonly heightPx: number;
}

export interface Placement {
  readonly sourceWidthPx: number;
  readonly sourceHeightPx: number;
  readonly crop: Rect;
  readonly grid: Grid;
}

/** Row-major, as the maps are. */
export function patchIndex(grid: Grid, patch: Patch): number {
  return patch.row * grid.cols + patch.col;
}

export function patchAtIndex(grid: Grid, index: number): Patch {
  return { row: Math.floor(index / grid.cols), col: index % grid.cols };
}

/** The patch under a point in source-image pixels; undefined where the model saw nothing. */
export function patchAtPoint(placement: Placement, xPx: number, yPx: number): Patch | undefined {
  const { crop, grid } = placement;
  const col = Math.floor(((xPx - crop.xPx) / crop.widthPx) * grid.cols);
  const row = Math.floor(((yPx - crop.yPx) / crop.heightPx) * grid.rows);
  const inside = col >= 0 && row >= 0 && col < grid.cols && row < grid.rows;
  return inside ? { row, col } : undefined;
}

/** In source-image pixels. */
export function patchRect(placement: Placement, patch: Patch): Rect {
  const { crop, grid } = placement;
  const widthPx = crop.widthPx / grid.cols;
  const heightPx = crop.heightPx / grid.rows;
  return { xPx: crop.xPx + patch.col * widthPx, yPx: crop.yPx + patch.row * heightPx, widthPx, heightPx };
}

export interface ShareBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** A rectangle of source-image pixels as shares of the image's own size. */
export function shareBox(sourceWidthPx: number, sourceHeightPx: number, rect: Rect): ShareBox {
  return {
    left: rect.xPx / sourceWidthPx,
    top: rect.yPx / sourceHeightPx,
    width: rect.widthPx / sourceWidthPx,
    height: rect.heightPx / sourceHeightPx,
  };
}

/** Share of the source image that lies outside the crop, 0..1. Half a pixel of rounding is no part of it. */
export function unseenShare(placement: Placement): number {
  const { crop, sourceWidthPx, sourceHeightPx } = placement;
  const right = Math.min(crop.xPx + crop.widthPx, sourceWidthPx);
  const bottom = Math.min(crop.yPx + crop.heightPx, sourceHeightPx);
  const left = Math.max(crop.xPx, 0);
  const top = Math.max(crop.yPx, 0);
  const lostWidthPx = sourceWidthPx - (right - left);
  const lostHeightPx = sourceHeightPx - (bottom - top);
  if (lostWidthPx < 0.5 && lostHeightPx < 0.5) return 0;
  return 1 - ((right - left) * (bottom - top)) / (sourceWidthPx * sourceHeightPx);
}

/** Where an arrow, Home, End, PageUp or PageDown key leads; stays on the grid. Undefined for any other key. */
export function patchAfterKey(grid: Grid, from: Patch, key: string): Patch | undefined {
  const { row, col } = from;
  switch (key) {
    case 'ArrowLeft':
      return { row, col: Math.max(0, col - 1) };
    case 'ArrowRight':
      return { row, col: Math.min(grid.cols - 1, col + 1) };
    case 'ArrowUp':
      return { row: Math.max(0, row - 1), col };
    case 'ArrowDown':
      return { row: Math.min(grid.rows - 1, row + 1), col };
    case 'Home':
      return { row, col: 0 };
    case 'End':
      return { row, col: grid.cols - 1 };
    case 'PageUp':
      return { row: 0, col };
    case 'PageDown':
      return { row: grid.rows - 1, col };
    default:
      return undefined;
  }
}
