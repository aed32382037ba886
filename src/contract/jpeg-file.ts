import { hasText, joinBytes } from './bytes';
import { type Orientation, orientationSegment, parseExifOrientation } from './exif-orientation';
import type { ImageFile } from './still-image';

const startOfScan = 0xda;
const endOfImage = 0xd9;
const startOfImage = Uint8Array.of(0xff, 0xd8);

/**
 * Keeps the segments that decide the pixels, and the orientation as the only metadata: every browser applies it to
 * JPEGs. Images after the first, such as a phone's depth or gain map, are dropped.
 */
export function parseJpeg(bytes: Uint8Array): ImageFile {
  const mediaType = 'image/jpeg';
  const parts: Uint8Array[] = [];
  let size: readonly [widthPx: number, heightPx: number] | undefined;
  let orientation: Orientation | undefined;
  const missing = `it ends after ${bytes.length} bytes, before its end marker`;
  let at = 2;
  let isInScan = false;
  let isAfterScan = false;
  for (;;) {
    const from = at;
    at = nextSegment(bytes, at);
    if (at < 0 || at + 2 > bytes.length) return { kind: 'cut-off', mediaType, missing };
    // Compressed pixels, between a start of scan and the next segment.
    if (isInScan) parts.push(bytes.subarray(from, at));
    const marker = bytes[at + 1]!;
    if (marker === endOfImage) {
      parts.push(bytes.subarray(at, at + 2));
      break;
    }
    if (at + 4 > bytes.length) return { kind: 'cut-off', mediaType, missing };
    const end = at + 2 + Math.max(2, (bytes[at + 2]! << 8) | bytes[at + 3]!);
    if (end > bytes.length) return { kind: 'cut-off', mediaType, missing };
    const isExif = marker === 0xe1 && hasText(bytes, at + 4, 'Exif\0\0');
    // Decoders read metadata only up to the pixels.
    if (isExif && !isAfterScan) orientation ??= parseExifOrientation(bytes.subarray(at + 4, end));
    if (isFrame(marker) && end >= at + 9) {
      size ??= [(bytes[at + 7]! << 8) | bytes[at + 8]!, (bytes[at + 5]! << 8) | bytes[at + 6]!];
    }
    if (!isMetadata(bytes, at)) parts.push(bytes.subarray(at, end));
    at = end;
    isInScan = marker === startOfScan;
    isAfterScan ||= isInScan;
  }
  if (size === undefined) return { kind: 'damaged', mediaType, problem: 'its size is missing' };
  const [widthPx, heightPx] = size;
  if (widthPx === 0 || heightPx === 0) {
    return { kind: 'damaged', mediaType, problem: `its size is ${widthPx} × ${heightPx} pixels` };
  }
  const turn = orientation === undefined || orientation === 1 ? [] : [orientationSegment(orientation)];
  return {
    kind: 'image',
    image: {
      mediaType,
      widthPx,
      heightPx,
      orientation: orientation ?? 1,
      bytes: joinBytes([startOfImage, ...turn, ...parts]),
      decoder: 'browser',
      isOpaque: true,
    },
  };
}

/** Returns where the next segment starts, skipping compressed pixels; -1 if there is none. */
function nextSegment(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0xff, from); at >= 0; at = bytes.indexOf(0xff, at)) {
    const next = bytes[at + 1];
    if (next === undefined) return -1;
    if (next === 0xff)
      at += 1; // a fill byte
    // A stuffed byte, or a marker without a length: restart, temporary, start of image.
    else if (next === 0 || next === 0x01 || (next >= 0xd0 && next <= 0xd8)) at += 2;
    else return at;
  }
  return -1;
}

/** Whether the segment starts a frame, which has the size; a thumbnail's frame is inside another segment. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
}

/** JFIF and Adobe segments decide how the components become colours; all other APPn and comments are metadata. */
function isMetadata(bytes: Uint8Array, at: number): boolean {
  const marker = bytes[at + 1]!;
  if (marker === 0xfe) return true;
  if (marker < 0xe0 || marker > 0xef) return false;
  return (
    !(marker === 0xe0 && hasText(bytes, at + 4, 'JFIF\0')) && !(marker === 0xee && hasText(bytes, at + 4, 'Adobe'))
  );
}
