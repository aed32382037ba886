// Prepares an image as CLIPImageProcessor does: resize the shorter side (bicubic), centre crop, rescale, normalise.
// Pixels are decoded in strips, so a large image is never completely in memory as RGBA.
import type { ImageGeometry, PatchGrid } from '../contract/run';
import { type AxisWeights, bicubicWeights, resizeColumns, resizeRows } from './bicubic';

export interface ImagePreparation {
  readonly sizePx: number;
  readonly grid: PatchGrid;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  readonly description: string;
}

/** Rows `firstRow .. firstRow + rows - 1` of a decoded image, RGBA, opaque. */
export interface PixelStrips {
  readonly widthPx: number;
  readonly heightPx: number;
  read(firstRow: number, rows: number): Uint8ClampedArray;
}

export interface ModelImage {
  /** [1, 3, sizePx, sizePx], normalised. */
  readonly pixelValues: Float32Array;
  readonly geometry: ImageGeometry;
}

/** Pixels per decoded RGBA strip. */
export const stripPixels = 1 << 20;

export function prepareImage(source: PixelStrips, preparation: ImagePreparation): ModelImage {
  const { sizePx } = preparation;
  const { widthPx, heightPx } = source;
  const shortPx = Math.min(widthPx, heightPx);
  // The size is truncated and the crop offset floored, as in the Python preprocessing.
  const resizedWidthPx = widthPx === shortPx ? sizePx : Math.trunc((sizePx * widthPx) / shortPx);
  const resizedHeightPx = heightPx === shortPx ? sizePx : Math.trunc((sizePx * heightPx) / shortPx);
  const leftPx = Math.floor((resizedWidthPx - sizePx) / 2);
  const topPx = Math.floor((resizedHeightPx - sizePx) / 2);

  const x = bicubicWeights(widthPx, resizedWidthPx, leftPx, sizePx);
  const y = bicubicWeights(heightPx, resizedHeightPx, topPx, sizePx);
  const rgb = resize(source, x, y);

  return {
    pixelValues: normalise(rgb, preparation),
    geometry: {
      sourceWidthPx: widthPx,
      sourceHeightPx: heightPx,
      preprocessing: preparation.description,
      frames: [
        {
          name: 'image',
          crop: {
            xPx: (leftPx * widthPx) / resizedWidthPx,
            yPx: (topPx * heightPx) / resizedHeightPx,
            widthPx: (sizePx * widthPx) / resizedWidthPx,
            heightPx: (sizePx * heightPx) / resizedHeightPx,
          },
          grid: preparation.grid,
          modelWidthPx: sizePx,
          modelHeightPx: sizePx,
        },
      ],
    },
  };
}

/** [y.count, x.count, 3]. Reads only the rows that the outputs depend on. */
export function resize(source: PixelStrips, x: AxisWeights, y: AxisWeights): Uint8Array {
  const firstRow = y.start[0]!;
  const endRow = y.start[y.count - 1]! + y.size[y.count - 1]!;
  const narrow = new Uint8Array((endRow - firstRow) * x.count * 3);
  const stripRows = Math.max(1, Math.floor(stripPixels / source.widthPx));
  for (let row = firstRow; row < endRow; row += stripRows) {
    const strip = source.read(row, Math.min(stripRows, endRow - row));
    resizeRows(strip, source.widthPx, x, narrow, row - firstRow);
  }
  return resizeColumns(narrow, firstRow, x.count, y);
}

function normalise(rgb: Uint8Array, { mean, std }: ImagePreparation): Float32Array {
  const pixels = rgb.length / 3;
  const out = new Float32Array(rgb.length);
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < pixels; i++) out[c * pixels + i] = (rgb[i * 3 + c]! / 255 - mean[c]!) / std[c]!;
  }
  return out;
}
