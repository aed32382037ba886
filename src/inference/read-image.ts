import type { CheckedImage } from '../contract/checked-image';
import { mediaTypeOf } from '../contract/image-file';
import { sha256Hex } from '../contract/sha256';
import { reasonOf } from '../text/reason-of';
import type { PictureClient } from './picture-client';

const maxBytes = 100_000_000;

/** Checks byte size, file type and pixel count, then makes the picture that is shown and read. */
export async function readImage(pictures: PictureClient, file: Blob, name: string): Promise<CheckedImage> {
  if (file.size > maxBytes) {
    return refused(`${name} has ${megas(file.size)} MB; the limit is ${megas(maxBytes)} MB. Save it smaller first.`);
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  try {
    const picture = await pictures.read(bytes, name);
    const mediaType = mediaTypeOf(bytes) ?? file.type;
    return { kind: 'image', image: { bytes, mediaType, name, sha256: await sha256Hex(bytes), picture } };
  } catch (error) {
    return refused(reasonOf(error));
  }
}

const megas = (count: number) => (count / 1e6).toFixed(count < 10e6 ? 1 : 0);

function refused(reason: string): CheckedImage {
  return { kind: 'refused', reason };
}
