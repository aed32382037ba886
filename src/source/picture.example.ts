// Pictures for tests outside a browser, where nothing can be decoded.
import { parseImageFile } from '../contract/image-file';
import type { Picture } from '../contract/run';
import type { EncodedPicture } from '../inference/picture-client';

/** A picture of the size in the file's header. Rejects for files that are no images. */
export async function pictureOfHeader(bytes: Uint8Array): Promise<Picture> {
  const file = parseImageFile(bytes);
  if (file.kind !== 'image') throw new Error(`expected an image, got ${file.kind}`);
  const { widthPx, heightPx } = file.image;
  return { blob: new Blob([file.image.bytes], { type: 'image/png' }), widthPx, heightPx };
}

/** An encoder whose PNG is the picture's blob, with these hashes. */
export const encodeAs = (pngSha256: string, pixelsSha256 = '7'.repeat(64)) => {
  return async ({ blob }: Picture): Promise<EncodedPicture> => ({ png: blob, pngSha256, pixelsSha256 });
};
