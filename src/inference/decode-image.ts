import { type PixelStrips, stripPixels } from './model-image';

/** Decodes a picture, which is opaque, in strips. Rejects if it cannot be decoded. */
export async function decodeImage(picture: Blob): Promise<PixelStrips & { destroy(): void }> {
  const bitmap = await createImageBitmap(picture);
  const { width: widthPx, height: heightPx } = bitmap;
  const canvas = new OffscreenCanvas(widthPx, Math.min(heightPx, Math.max(1, Math.floor(stripPixels / widthPx))));
  const context = canvas.getContext('2d', { willReadFrequently: true, alpha: false });
  if (context === null) throw new Error(`could not create a canvas of ${canvas.width} x ${canvas.height} pixels`);
  return {
    widthPx,
    heightPx,
    read(firstRow, rows) {
      context.drawImage(bitmap, 0, -firstRow);
      return context.getImageData(0, 0, widthPx, rows).data;
    },
    destroy: () => bitmap.close(),
  };
}
