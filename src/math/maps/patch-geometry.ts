// Three coordinate spaces: the patch grid (row, col), source-image pixels, and shares of the source image (0..1, for CSS
// percentages). The grid covers `crop` exactly; the model never saw anything outside `crop`. A model may read an image as
// several frames, each with its own crop and grid; a map then holds their patches frame after frame.

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

export interface Frames {
  readonly sourceWidthPx: number;
  readonly sourceHeightPx: number;
  readonly frames: readonly { readonly crop: Rect; readonly grid: Grid }[];
}

/** The placement of one frame, whose patches are the map values from `first` (inclusive) to `end` (exclusive). */
export interface FramePlacement extends Placement {
  readonly first: number;
  readonly end: number;
}

export function framePlacement({ sourceWidthPx, sourceHeightPx, frames }: Frames, index: number): FramePlacement {
  const frame = frames[index];
  if (frame === undefined) throw new Error(`frame ${index} is out of range: the image has ${frames.length} frames`);
  const { crop, grid } = frame;
  const first = frames.slice(0, index).reduce((sum, previous) => sum + patchesOf(previous.grid), 0);
  return { sourceWidthPx, sourceHeightPx, crop, grid, first, end: first + patchesOf(grid) };
}

function patchesOf(grid: Grid): number {
  return grid.rows * grid.cols;
}

/** The patch's index in its frame, row-major. */
export function patchIndex(grid: Grid, patch: Patch): number {
  return patch.row * grid.cols + patch.col;
}

export function patchAtIndex(grid: Grid, index: number): Patch {
  return { row: Math.floor(index / grid.cols), col: index % grid.cols };
}

/** The patch under a point in source-image pixels; undefined outside the crop. */
export function patchAtPoint(placement: Placement, xPx: number, yPx: number): Patch | undefined {
  const { crop, grid } = placement;
  const col = Math.floor(((xPx - crop.xPx) / crop.widthPx) * grid.cols);
  const row = Math.floor(((yPx - crop.yPx) / crop.heightPx) * grid.rows);
  const inside = col >= 0 && row >= 0 && col < grid.cols && row < grid.rows;
  return inside ? { row, col } : undefined;
}

/** The patch's rectangle in source-image pixels. */
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

/** Converts a rectangle in source-image pixels to shares of another rectangle. */
export function shareBox(of: Rect, rect: Rect): ShareBox {
  return {
    left: (rect.xPx - of.xPx) / of.widthPx,
    top: (rect.yPx - of.yPx) / of.heightPx,
    width: rect.widthPx / of.widthPx,
    height: rect.heightPx / of.heightPx,
  };
}

/**
 * The image and its padding: the image, extended to the crop where the crop reaches more than half a pixel beyond it.
 */
export function extentOf({ sourceWidthPx, sourceHeightPx, crop }: Placement): Rect {
  const start = (at: number) => (at < -0.5 ? at : 0);
  const end = (at: number, size: number) => (at > size + 0.5 ? at : size);
  const [xPx, yPx] = [start(crop.xPx), start(crop.yPx)];
  const right = end(crop.xPx + crop.widthPx, sourceWidthPx);
  const bottom = end(crop.yPx + crop.heightPx, sourceHeightPx);
  return { xPx, yPx, widthPx: right - xPx, heightPx: bottom - yPx };
}

/** Share of the source image outside the crop, 0..1. Ignores rounding of less than half a pixel. */
export function unseenShare(placement: Placement): number {
  const { crop, sourceWidthPx, sourceHeightPx } = placement;
  const right = Math.min(crop.xPx + crop.widthPx, sourceWidthPx);
  const bottom = Math.min(crop.yPx + crop.heightPx, sourceHeightPx);
  const left = Math.max(crop.xPx, 0);
  const top = Math.max(crop.yPx, 0);
  const unseenWidthPx = sourceWidthPx - (right - left);
  const unseenHeightPx = sourceHeightPx - (bottom - top);
  if (unseenWidthPx < 0.5 && unseenHeightPx < 0.5) return 0;
  return 1 - ((right - left) * (bottom - top)) / (sourceWidthPx * sourceHeightPx);
}

/** Whether some patches are on padding outside the image. */
export function hasPadding(placement: Placement): boolean {
  const { widthPx, heightPx } = extentOf(placement);
  return widthPx !== placement.sourceWidthPx || heightPx !== placement.sourceHeightPx;
}

/** The patch that an arrow, Home, End, PageUp or PageDown key moves to, within the grid. Undefined for any other key. */
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
