// Reads an image file without decoding it: its type and size, whether it is complete, which way is up, and what is left
// of it without metadata.
//
//   parseImageFile -> parsePng | parseJpeg | parseWebp | parseGif -> ImageFile
//
// Browsers treat the same metadata differently: a colour profile, an orientation, the frames after the first. Of the
// file that is left, every browser and every decoder makes the same pixels. docs/protocol.md, "The image that is read",
// states the rules; patchlight/models/pictures.py follows them in Python.
import { hasText } from './bytes';
import type { Orientation } from './exif-orientation';
import { parseGif } from './gif-file';
import { parseJpeg } from './jpeg-file';
import { parsePng } from './png-file';
import { parseWebp } from './webp-file';

export type ImageMediaType = 'image/png' | 'image/jpeg' | 'image/webp' | 'image/gif';

/** An image file without its metadata and without frames after the first. */
export interface StillImage {
  readonly mediaType: ImageMediaType;
  /** Size as stored, before `orientation` is applied. */
  readonly widthPx: number;
  readonly heightPx: number;
  readonly orientation: Orientation;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * `browser`: `bytes` have no partial transparency, so every browser decodes them to the same pixels. The others have
   * some, or samples of 16 bits, and are decoded by this page's own PNG decoder or by libwebp.
   */
  readonly decoder: 'browser' | 'png' | 'libwebp';
  /** Whether `bytes` decode to an opaque image of the full size. */
  readonly isOpaque: boolean;
  /** Where the decoded image lies on a white image of the full size, if it is smaller: the first frame of an animation. */
  readonly place?: { readonly xPx: number; readonly yPx: number };
}

export type ImageFile =
  | { readonly kind: 'image'; readonly image: StillImage }
  /** `missing`: what it lacks, as the rest of a sentence that starts with the file's name. */
  | { readonly kind: 'cut-off'; readonly mediaType: ImageMediaType; readonly missing: string }
  | { readonly kind: 'damaged'; readonly mediaType: ImageMediaType; readonly problem: string }
  /** `found`: what the file is instead, with its article. */
  | { readonly kind: 'unsupported'; readonly found: string };

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
