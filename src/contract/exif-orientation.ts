import { bytesOf, hasText } from './bytes';

/** How a stored image must be turned or mirrored to be upright, as EXIF defines it; 1 is upright. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const orientationTag = 0x0112;
const shortType = 3;
const longType = 4;
/** Starts the EXIF data of a JPEG; some writers also put it before the EXIF data of a WebP. */
const prefix = 'Exif\0\0';

/** Reads the orientation from EXIF data, a TIFF structure; 1 if it has none or cannot be read. */
export function parseExifOrientation(bytes: Uint8Array): Orientation {
  let start = 0;
  while (hasText(bytes, start, prefix)) start += prefix.length;
  const tiff = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.byteLength - start);
  const isLittle = hasText(bytes, start, 'II*\0');
  if (!isLittle && !hasText(bytes, start, 'MM\0*')) return 1;
  if (tiff.byteLength < 8) return 1;
  const directory = tiff.getUint32(4, isLittle);
  if (directory + 2 > tiff.byteLength) return 1;
  const entries = tiff.getUint16(directory, isLittle);
  for (let i = 0; i < entries; i++) {
    const at = directory + 2 + 12 * i;
    if (at + 12 > tiff.byteLength) return 1;
    if (tiff.getUint16(at, isLittle) !== orientationTag) continue;
    if (tiff.getUint32(at + 4, isLittle) !== 1) return 1;
    const type = tiff.getUint16(at + 2, isLittle);
    if (type === shortType) return orientationOf(tiff.getUint16(at + 8, isLittle));
    return type === longType ? orientationOf(tiff.getUint32(at + 8, isLittle)) : 1;
  }
  return 1;
}

/** Returns a JPEG segment (APP1) whose only content is an orientation. */
export function orientationSegment(orientation: Orientation): Uint8Array<ArrayBuffer> {
  const entry = [0x01, 0x12, 0, shortType, 0, 0, 0, 1, 0, orientation, 0, 0];
  const tiff = [...bytesOf('MM\0*'), 0, 0, 0, 8, 0, 1, ...entry, 0, 0, 0, 0];
  const length = 2 + prefix.length + tiff.length;
  return Uint8Array.from([0xff, 0xe1, length >> 8, length & 0xff, ...bytesOf(prefix), ...tiff]);
}

function orientationOf(value: number): Orientation {
  return value >= 1 && value <= 8 ? (value as Orientation) : 1;
}
