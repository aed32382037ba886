import { type PixelStrips, stripPixels } from './model-image';

/**
 * Decodes an image in the browser. As in the Python preprocessing, colour profiles are not applied; transparent pixels
 * are blended onto white. Rejects if the image cannot be decoded.
 */
export async function decodeImage(image: Blob): Promise<PixelStrips & { destroy(): void }> {
  const bitmap = await createImageBitmap(image, { colorSpaceConversion: 'none' });
  const { width: widthPx, height: heightPx } = bitmap;
  const canvas = new OffscreenCanvas(widthPx, Math.min(heightPx, Math.max(1, Math.floor(stripPixels / widthPx))));
  const context = canvas.getContext('2d', { willReadFrequently: true, alpha: false });
  if (context === null) throw new Error(`could not create a canvas of ${canvas.width} x ${canvas.height} pixels`);
  return {
    widthPx,
    heightPx,
    read(firstRow, rows) {
      context.fillStyle = '#fff';
      context.fillRect(0, 0, widthPx, rows);
      context.drawImage(bitmap, 0, -firstRow);
      return context.getImageData(0, 0, widthPx, rows).data;
    },
    destroy: () => bitmap.close(),
  };
}
