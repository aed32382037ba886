/** An image as 8-bit RGBA with straight alpha, row by row. */
export interface Pixels {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
}

/**
 * Blends onto white, in place: round(colour · alpha / 255) + 255 − alpha. Browsers round differently when they blend,
 * so this is done here, in integers; patchlight/models/pictures.py does the same.
 */
export function flattenOnWhite({ rgba }: Pixels): void {
  for (let i = 0; i < rgba.length; i += 4) {
    const alpha = rgba[i + 3]!;
    if (alpha === 255) continue;
    for (let c = i; c < i + 3; c++) rgba[c] = Math.floor((rgba[c]! * alpha + 127) / 255) + 255 - alpha;
    rgba[i + 3] = 255;
  }
}

/** Puts an opaque image on a white one. The part outside is cut off. */
export function placeOnWhite(
  image: Pixels,
  at: { xPx: number; yPx: number },
  widthPx: number,
  heightPx: number,
): Pixels {
  const rgba = new Uint8ClampedArray(widthPx * heightPx * 4).fill(255);
  const cols = Math.min(image.widthPx, widthPx - at.xPx);
  const rows = Math.min(image.heightPx, heightPx - at.yPx);
  for (let row = 0; row < rows && cols > 0; row++) {
    const from = row * image.widthPx * 4;
    rgba.set(image.rgba.subarray(from, from + cols * 4), ((at.yPx + row) * widthPx + at.xPx) * 4);
  }
  return { widthPx, heightPx, rgba };
}

/** Turns and mirrors a stored image by its EXIF orientation, 1 to 8. */
export function makeUpright(image: Pixels, orientation: number): Pixels {
  if (orientation === 1) return image;
  const { widthPx: storedWidthPx, heightPx: storedHeightPx } = image;
  const isTransposed = orientation >= 5;
  const isColReversed = [2, 3, 7, 8].includes(orientation);
  const isRowReversed = [3, 4, 6, 7].includes(orientation);
  const [widthPx, heightPx] = isTransposed ? [storedHeightPx, storedWidthPx] : [storedWidthPx, storedHeightPx];
  const rgba = new Uint8ClampedArray(image.rgba.length);
  const from = new Uint32Array(image.rgba.buffer, image.rgba.byteOffset, image.rgba.length / 4);
  const to = new Uint32Array(rgba.buffer);
  for (let y = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) {
      const [along, down] = isTransposed ? [y, x] : [x, y];
      const col = isColReversed ? storedWidthPx - 1 - along : along;
      const row = isRowReversed ? storedHeightPx - 1 - down : down;
      to[y * widthPx + x] = from[row * storedWidthPx + col]!;
    }
  }
  return { widthPx, heightPx, rgba };
}
