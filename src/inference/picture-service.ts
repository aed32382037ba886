// The picture worker: makes the one picture that is shown and read of files that browsers would show differently, and
// encodes pictures for a companion.

import { sha256Hex } from '../contract/sha256';
import type { StillImage } from '../contract/still-image';
import { flattenOnWhite, makeUpright, type Pixels, placeOnWhite } from '../math/pixels';
import type { Handlers } from '../workers/worker-service';
import type { PictureProtocol } from './picture-protocol';
import { decodePng } from './png-pixels';

export function createPictureHandlers(): Handlers<PictureProtocol> {
  return {
    async flatten(image) {
      const decoded = await decode(image);
      flattenOnWhite(decoded);
      const { place, widthPx, heightPx, orientation } = image;
      const placed = place === undefined ? decoded : placeOnWhite(decoded, place, widthPx, heightPx);
      const upright = makeUpright(placed, orientation);
      return { blob: await pngOf(upright), widthPx: upright.widthPx, heightPx: upright.heightPx };
    },
    async encode({ blob }) {
      const { canvas, context } = await drawn(blob);
      const png = blob.type === 'image/png' ? blob : await canvas.convertToBlob({ type: 'image/png' });
      return {
        png,
        pngSha256: await sha256Hex(new Uint8Array(await png.arrayBuffer())),
        pixelsSha256: await sha256Hex(rgbOf(context, canvas)),
      };
    },
  };
}

async function decode({ decoder, bytes, mediaType }: StillImage): Promise<Pixels> {
  switch (decoder) {
    case 'png':
      return decodePng(bytes);
    case 'libwebp': {
      // In WebAssembly, so a malformed file can harm no more than this decoder's own memory.
      const { default: decodeWebp } = await import('@jsquash/webp/decode.js');
      const { width: widthPx, height: heightPx, data } = await decodeWebp(bytes.buffer);
      return { widthPx, heightPx, rgba: data as Uint8ClampedArray<ArrayBuffer> };
    }
    case 'browser': {
      const { canvas, context } = await drawn(new Blob([bytes], { type: mediaType }), { alpha: true });
      const { width: widthPx, height: heightPx } = canvas;
      return { widthPx, heightPx, rgba: context.getImageData(0, 0, widthPx, heightPx).data };
    }
  }
}

async function drawn(image: Blob, { alpha } = { alpha: false }) {
  const bitmap = await createImageBitmap(image);
  const { canvas, context } = canvasOf(bitmap.width, bitmap.height, alpha);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { canvas, context };
}

function canvasOf(widthPx: number, heightPx: number, alpha: boolean) {
  const canvas = new OffscreenCanvas(widthPx, heightPx);
  const context = canvas.getContext('2d', { willReadFrequently: true, alpha });
  if (context === null) throw new Error(`this browser cannot create a canvas of ${widthPx} × ${heightPx} pixels`);
  return { canvas, context };
}

async function pngOf({ widthPx, heightPx, rgba }: Pixels): Promise<Blob> {
  const { canvas, context } = canvasOf(widthPx, heightPx, false);
  context.putImageData(new ImageData(rgba, widthPx, heightPx), 0, 0);
  return canvas.convertToBlob({ type: 'image/png' });
}

/** Pixels read back at a time. */
const stripPixels = 1 << 20;

function rgbOf(
  context: OffscreenCanvasRenderingContext2D,
  { width, height }: OffscreenCanvas,
): Uint8Array<ArrayBuffer> {
  const rgb = new Uint8Array(width * height * 3);
  const stripRows = Math.max(1, Math.floor(stripPixels / width));
  let to = 0;
  for (let row = 0; row < height; row += stripRows) {
    const { data } = context.getImageData(0, row, width, Math.min(stripRows, height - row));
    for (let i = 0; i < data.length; i += 4) {
      rgb[to++] = data[i]!;
      rgb[to++] = data[i + 1]!;
      rgb[to++] = data[i + 2]!;
    }
  }
  return rgb;
}
