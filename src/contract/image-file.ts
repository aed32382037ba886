// Reads an image file without decoding it: its type and size, whether it is complete, which way is up, and what is left
// of it without metadata.
//
//   parseImageFile -> parsePng | parseJpeg | parseWebp | parseGif -> ImageFile
//
// Browsers treat the same metadata differently: a colour profile, an orientation, the frames after the first. Of the
// file that is left, every browser and every decoder makes the same pixels. docs/protocol.md, "The image that is read",
// states the rules; patchlight/models/pictures.py follows them in Python.
import { hasText } from './bytes';
import { parseGif } from './gif-file';
import { parseJpeg } from './jpeg-file';
import { parsePng } from './png-file';
import type { ImageFile, ImageMediaType } from './still-image';
import { parseWebp } from './webp-file';

export function parseImageFile(bytes: Uint8Array): ImageFile {
  switch (mediaTypeOf(bytes)) {
    case 'image/png':
      return parsePng(bytes);
    case 'image/jpeg':
      return parseJpeg(bytes);
    case 'image/gif':
      return parseGif(bytes);
    case 'image/webp':
      return parseWebp(bytes);
    case undefined:
      return { kind: 'unsupported', found: formatOf(bytes) };
  }
}

/** The type of a supported image, by its first bytes. */
export function mediaTypeOf(bytes: Uint8Array): ImageMediaType | undefined {
  if (hasText(bytes, 0, '\x89PNG\r\n\x1a\n')) return 'image/png';
  if (hasText(bytes, 0, '\xff\xd8\xff')) return 'image/jpeg';
  if (hasText(bytes, 0, 'GIF87a') || hasText(bytes, 0, 'GIF89a')) return 'image/gif';
  return hasText(bytes, 0, 'RIFF') && hasText(bytes, 8, 'WEBP') ? 'image/webp' : undefined;
}

/** First bytes of other formats, to name them in a message. */
const otherFormats: readonly (readonly [at: number, text: string, found: string])[] = [
  [4, 'ftypavi', 'an AVIF image'],
  [4, 'ftyphe', 'an HEIC image'],
  [4, 'ftypmif1', 'an HEIC image'],
  [4, 'ftypmsf1', 'an HEIC image'],
  [4, 'ftyp', 'a video'],
  [0, 'BM', 'a BMP image'],
  [0, 'II*\0', 'a TIFF image'],
  [0, 'MM\0*', 'a TIFF image'],
  [0, '\xff\x0a', 'a JPEG XL image'],
  [0, '\0\0\0\x0cJXL ', 'a JPEG XL image'],
  [0, '\0\0\x01\0', 'an icon (ICO)'],
  [0, '8BPS', 'a Photoshop document'],
  [0, '%PDF', 'a PDF document'],
  [0, '<svg', 'an SVG drawing'],
  [0, '<?xml', 'an XML document, perhaps an SVG drawing'],
  [0, 'version https://git-lfs', 'a Git LFS pointer, not the image itself'],
];

function formatOf(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'an empty file';
  return otherFormats.find(([at, text]) => hasText(bytes, at, text))?.[2] ?? 'a file of an unknown type';
}
