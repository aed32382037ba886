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
  /** SVG path data, in units of patches. */
  readonly outline: string;
  /** Lines of text below the image: what it shows and how it was made. Lines wider than the image are cut off. */
  readonly caption: readonly string[];
}

/** Images smaller than this are enlarged by an integer factor, to leave room for the outline. */
const minSidePx = 1000;
const lineHeightPx = 26;

/** Draws the image, veil, map and outline as on the stage, at the image's size or a multiple of it, with a caption. */
export function drawFigure(document: Document, columns: FigureColumns): HTMLCanvasElement {
  const { image, placement, values, domain, table, opacity, isSmooth, outline, caption } = columns;
  const { sourceWidthPx, sourceHeightPx, crop, grid } = placement;
  const extent = extentOf(placement);
  const factor = Math.max(1, Math.ceil(minSidePx / Math.max(extent.widthPx, extent.heightPx)));
  const canvas = document.createElement('canvas');
  canvas.width = Math.ceil(extent.widthPx * factor);
  const imageHeightPx = Math.ceil(extent.heightPx * factor);
  const captionHeightPx = lineHeightPx * (caption.length + 1);
  canvas.height = imageHeightPx + captionHeightPx;
  // Avoids a GPU canvas: reading it back at the end took seconds.
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error(`cannot create a canvas of ${canvas.width} x ${canvas.height} px`);
  context.fillStyle = '#121315';
  context.fillRect(0, imageHeightPx, canvas.width, captionHeightPx);
  context.fillStyle = '#edebe5';
  context.font = '16px "Inter Variable", sans-serif';
  context.textBaseline = 'middle';
  for (const [line, text] of caption.entries()) {
    context.fillText(text, 16, imageHeightPx + lineHeightPx * (line + 1));
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
