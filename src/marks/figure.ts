import { extentOf } from '../math/maps/patch-geometry';
import type { ColourTable } from './colour-table';
import { drawHeatmap } from './heatmap';

export interface FigureColumns {
  readonly image: HTMLImageElement;
  readonly placement: {
    readonly sourceWidthPx: number;
    readonly sourceHeightPx: number;
    readonly crop: { readonly xPx: number; readonly yPx: number; readonly widthPx: number; readonly heightPx: number };
    readonly grid: { readonly rows: number; readonly cols: number };
  };
  readonly values: Float32Array;
  readonly domain: readonly [number, number];
  readonly table: ColourTable;
  readonly opacity: number;
  readonly isSmooth: boolean;
  /** SVG path data in patches. */
  readonly outline: string;
  /** What it is and how it was made, a line each, written below it; cut where the picture is too narrow. */
  readonly caption: readonly string[];
}

/** Small images are enlarged by a whole factor, so that an outline has room. */
const leastSidePx = 1000;
const lineHeightPx = 26;

/** Image, veil, map and outline as they stand on the stage, at the image's own size or a multiple of it. */
export function drawFigure(document: Document, columns: FigureColumns): HTMLCanvasElement {
  const { image, placement, values, domain, table, opacity, isSmooth, outline, caption } = columns;
  const { sourceWidthPx, sourceHeightPx, crop, grid } = placement;
  const extent = extentOf(placement);
  const factor = Math.max(1, Math.ceil(leastSidePx / Math.max(extent.widthPx, extent.heightPx)));
  const canvas = document.createElement('canvas');
  canvas.width = Math.ceil(extent.widthPx * factor);
  const pictureHeightPx = Math.ceil(extent.heightPx * factor);
  const bandHeightPx = lineHeightPx * (caption.length + 1);
  canvas.height = pictureHeightPx + bandHeightPx;
  // Read back once, at the end: on the GPU that took seconds.
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error(`no canvas of ${canvas.width} x ${canvas.height} px`);
  context.fillStyle = '#121315';
  context.fillRect(0, pictureHeightPx, canvas.width, bandHeightPx);
  context.fillStyle = '#edebe5';
  context.font = '16px "Inter Variable", sans-serif';
  context.textBaseline = 'middle';
  for (const [line, text] of caption.entries()) {
    context.fillText(text, 16, pictureHeightPx + lineHeightPx * (line + 1));
  }

  context.scale(factor, factor);
  context.translate(-extent.xPx, -extent.yPx);
  context.drawImage(image, 0, 0, sourceWidthPx, sourceHeightPx);

  const unseen = new Path2D();
  unseen.rect(0, 0, sourceWidthPx, sourceHeightPx);
  const right = Math.min(crop.xPx + crop.widthPx, sourceWidthPx);
  const bottom = Math.min(crop.yPx + crop.heightPx, sourceHeightPx);
  const [left, top] = [Math.max(crop.xPx, 0), Math.max(crop.yPx, 0)];
  unseen.rect(left, top, right - left, bottom - top);
  context.fillStyle = 'rgb(0 0 0 / 70%)';
  context.fill(unseen, 'evenodd');

  const map = document.createElement('canvas');
  drawHeatmap(map, { values, grid, domain, table });
  context.globalAlpha = opacity;
  context.imageSmoothingEnabled = isSmooth;
  context.drawImage(map, crop.xPx, crop.yPx, crop.widthPx, crop.heightPx);
  context.globalAlpha = 1;

  context.translate(crop.xPx, crop.yPx);
  const path = new Path2D();
  path.addPath(new Path2D(outline), { a: crop.widthPx / grid.cols, d: crop.heightPx / grid.rows });
  for (const [style, width] of [
    ['rgb(0 0 0 / 70%)', 5],
    ['#fff', 2.5],
  ] as const) {
    context.strokeStyle = style;
    context.lineWidth = width / factor;
    context.stroke(path);
  }
  return canvas;
}
