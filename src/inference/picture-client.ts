// Makes pictures of image files: the one image that the page shows and the model reads.
import { parseImageFile } from '../contract/image-file';
import type { Picture } from '../contract/run';
import type { ImageFile, ImageMediaType, StillImage } from '../contract/still-image';
import { createWorkerLink } from '../workers/worker-link';
import type { EncodedPicture, PictureProtocol } from './picture-protocol';

export type { EncodedPicture } from './picture-protocol';

export interface PictureClient {
  /** Throws an error that names the file and says what is wrong with it, what is accepted and what to do. */
  read(bytes: Uint8Array, name: string): Promise<Picture>;
  /** Encodes a picture for a companion, once. */
  encode(picture: Picture): Promise<EncodedPicture>;
}

const maxPixels = 64_000_000;
/** The maximum canvas width supported by every browser. */
const maxSidePx = 16_384;

const typeNames: Record<ImageMediaType, string> = {
  'image/png': 'PNG',
  'image/jpeg': 'JPEG',
  'image/webp': 'WebP',
  'image/gif': 'GIF',
};

const startWorker = () => new Worker(new URL('./picture.worker.ts', import.meta.url), { type: 'module' });

export function createPictureClient(): PictureClient {
  const link = createWorkerLink<PictureProtocol>(startWorker, { onDeath: () => {}, owner: 'the image decoder' });
  const encoded = new WeakMap<Picture, Promise<EncodedPicture>>();

  return {
    async read(bytes, name) {
      const file = parseImageFile(bytes);
      if (file.kind !== 'image') throw new Error(refusalOf(file, name));
      const { image } = file;
      const { mediaType, widthPx, heightPx } = image;
      const pixels = widthPx * heightPx;
      if (pixels > maxPixels || Math.max(widthPx, heightPx) > maxSidePx) {
        const size = `${widthPx} × ${heightPx} pixels (${megapixels(pixels)} megapixels)`;
        const limit = `the limit is ${megapixels(maxPixels)} megapixels and ${maxSidePx} px per side`;
        throw new Error(`${name} has ${size}; ${limit}. Make it smaller first.`);
      }
      try {
        return isShownAsItIs(image) ? await shownAsItIs(image) : await link.request('flatten', image);
      } catch (error) {
        const why = error instanceof Error && error.message.startsWith('its ') ? error.message : 'it cannot be decoded';
        throw new Error(`${name} is a damaged ${typeNames[mediaType]} image: ${why}. Download or save it again.`);
      }
    },
    encode(picture) {
      const known = encoded.get(picture);
      if (known) return known;
      const encoding = link.request('encode', picture);
      encoded.set(picture, encoding);
      encoding.catch(() => encoded.delete(picture));
      return encoding;
    },
  };
}

/** Whether every browser shows the file as the picture. Browsers turn JPEGs themselves, as their EXIF says. */
function isShownAsItIs({ decoder, isOpaque, orientation, mediaType }: StillImage): boolean {
  return decoder === 'browser' && isOpaque && (orientation === 1 || mediaType === 'image/jpeg');
}

/** Decodes once to make sure that it can be decoded, and for the upright size. */
async function shownAsItIs({ bytes, mediaType }: StillImage): Promise<Picture> {
  const blob = new Blob([bytes], { type: mediaType });
  const bitmap = await createImageBitmap(blob);
  const { width: widthPx, height: heightPx } = bitmap;
  bitmap.close();
  return { blob, widthPx, heightPx };
}

function refusalOf(file: Exclude<ImageFile, { kind: 'image' }>, name: string): string {
  switch (file.kind) {
    case 'unsupported':
      return `${name} is not a supported image: it is ${file.found}. Use PNG, JPEG, WebP or GIF.`;
    case 'cut-off':
      return `${name} is a truncated ${typeNames[file.mediaType]} image: ${file.missing}. Download or save it again.`;
    case 'damaged':
      return `${name} is a damaged ${typeNames[file.mediaType]} image: ${file.problem}. Download or save it again.`;
  }
}

function megapixels(count: number): string {
  return (count / 1e6).toFixed(count < 10e6 ? 1 : 0);
}
