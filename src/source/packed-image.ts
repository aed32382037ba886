import type { ImagePlace } from '../contract/image-index';
import { sha256Hex } from '../contract/sha256';

/**
 * Reads one image from a packed file with an HTTP range request. If the host ignores the range and sends the complete
 * file, the image is sliced out of it. Throws if the host does not have the image or its bytes do not match the index.
 */
export async function readPackedImage(
  url: string,
  { offset, bytes, sha256 }: ImagePlace,
): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url, { headers: { Range: `bytes=${offset}-${offset + bytes - 1}` } });
  const image = await imageIn(response, { offset, bytes });
  if (image.length !== bytes) throw new Error(`expected ${bytes} bytes at ${offset}, got ${image.length}`);
  const digest = await sha256Hex(image);
  if (digest !== sha256) throw new Error(`expected SHA-256 ${sha256}, got ${digest}`);
  return image;
}

async function imageIn(response: Response, { offset, bytes }: Pick<ImagePlace, 'offset' | 'bytes'>) {
  switch (response.status) {
    case 206:
      return new Uint8Array(await response.arrayBuffer());
    case 200:
      return new Uint8Array(await response.arrayBuffer()).slice(offset, offset + bytes);
    default:
      throw new Error(`the server answered ${response.status}`);
  }
}
