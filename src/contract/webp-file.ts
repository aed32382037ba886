import { bytesOf, hasText, joinBytes } from './bytes';
import { parseExifOrientation } from './exif-orientation';
import type { ImageFile } from './still-image';

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/** The header of an animation's frame: place, size, duration and flags. */
const frameHeaderBytes = 16;
const alphaFlag = 0x10;
const exifFlag = 0x08;

/** Keeps the compressed pixels of the image or, in an animation, of the first frame. */
export function parseWebp(bytes: Uint8Array): ImageFile {
  const mediaType = 'image/webp';
  const needed = bytes.length < 8 ? 12 : uint32(bytes, 4) + 8;
  if (bytes.length < needed) {
    return { kind: 'cut-off', mediaType, missing: `it has ${bytes.length} of ${needed} bytes` };
  }
  const damaged = (problem: string): ImageFile => ({ kind: 'damaged', mediaType, problem });
  const chunks = chunksOf(bytes.subarray(12, needed));
  const frame = chunks.find(({ type }) => type === 'ANMF');
  if (frame !== undefined && frame.data.length < frameHeaderBytes) return damaged('its first frame is missing');
  const inFrame = frame === undefined ? chunks : chunksOf(frame.data.subarray(frameHeaderBytes));
  const pixels = inFrame.find(({ type }) => type === 'VP8 ' || type === 'VP8L');
  const size = pixels && sizeOf(pixels);
  if (pixels === undefined || size === undefined) return damaged('its pixels are missing');
  const [frameWidthPx, frameHeightPx] = size;
  const extended = chunks.find(({ type, data }) => type === 'VP8X' && data.length >= 10);
  const [widthPx, heightPx] =
    frame && extended ? [uint24(extended.data, 4) + 1, uint24(extended.data, 7) + 1] : [frameWidthPx, frameHeightPx];
  if (widthPx === 0 || heightPx === 0) return damaged(`its size is ${widthPx} × ${heightPx} pixels`);
  const alpha = pixels.type === 'VP8 ' ? inFrame.find(({ type }) => type === 'ALPH') : undefined;
  const hasAlpha = alpha !== undefined || (pixels.type === 'VP8L' && (uint32(pixels.data, 1) & (1 << 28)) !== 0);
  const place = frame && { xPx: 2 * uint24(frame.data, 0), yPx: 2 * uint24(frame.data, 3) };
  const isPart = frameWidthPx !== widthPx || frameHeightPx !== heightPx;
  // Decoders ignore EXIF data that the header does not announce.
  const hasExif = ((extended?.data[0] ?? 0) & exifFlag) !== 0;
  const exif = hasExif ? chunks.find(({ type }) => type === 'EXIF') : undefined;
  return {
    kind: 'image',
    image: {
      mediaType,
      widthPx,
      heightPx,
      orientation: exif === undefined ? 1 : parseExifOrientation(exif.data),
      bytes: fileOf(alpha === undefined ? [pixels] : [extendedHeader(size), alpha, pixels]),
      decoder: hasAlpha ? 'libwebp' : 'browser',
      isOpaque: !hasAlpha && !isPart,
      ...(isPart && place && { place }),
    },
  };
}

/** Chunks up to the first that is cut off. */
function chunksOf(bytes: Uint8Array): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const end = at + 8 + uint32(bytes, at + 4);
    if (end > bytes.length) break;
    chunks.push({ type: String.fromCharCode(...bytes.subarray(at, at + 4)), data: bytes.subarray(at + 8, end) });
    at = end + (end & 1); // chunks have an even length
  }
  return chunks;
}

function sizeOf({ type, data }: Chunk): readonly [widthPx: number, heightPx: number] | undefined {
  if (type === 'VP8L') {
    if (data.length < 5 || data[0] !== 0x2f) return undefined;
    const packed = uint32(data, 1);
    return [(packed & 0x3fff) + 1, ((packed >>> 14) & 0x3fff) + 1];
  }
  if (data.length < 10 || !hasText(data, 3, '\x9d\x01\x2a')) return undefined;
  return [(data[6]! | (data[7]! << 8)) & 0x3fff, (data[8]! | (data[9]! << 8)) & 0x3fff];
}

/** The header of a still image with an alpha chunk. */
function extendedHeader([widthPx, heightPx]: readonly [number, number]): Chunk {
  const [w, h] = [widthPx - 1, heightPx - 1];
  const data = [alphaFlag, 0, 0, 0, w & 0xff, (w >> 8) & 0xff, w >> 16, h & 0xff, (h >> 8) & 0xff, h >> 16];
  return { type: 'VP8X', data: Uint8Array.from(data) };
}

function fileOf(chunks: readonly Chunk[]): Uint8Array<ArrayBuffer> {
  const body = joinBytes(
    chunks.flatMap(({ type, data }) => [
      bytesOf(type),
      littleEndian(data.length),
      data,
      new Uint8Array(data.length & 1),
    ]),
  );
  return joinBytes([bytesOf('RIFF'), littleEndian(body.length + 4), bytesOf('WEBP'), body]);
}

function littleEndian(value: number): Uint8Array {
  return Uint8Array.of(value, value >> 8, value >> 16, value >>> 24);
}

function uint24(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
}

function uint32(bytes: Uint8Array, at: number): number {
  return (uint24(bytes, at) | (bytes[at + 3]! << 24)) >>> 0;
}
