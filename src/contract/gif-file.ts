import { joinBytes } from './bytes';
import type { ImageFile } from './still-image';

const screenBytes = 13;
const extension = 0x21;
const graphicControl = 0xf9;
const imageDescriptor = 0x2c;
const trailer = 0x3b;

/** Keeps the first frame: the screen, its colours, the frame's transparency and its pixels. */
export function parseGif(bytes: Uint8Array): ImageFile {
  const mediaType = 'image/gif';
  const cutOff: ImageFile = {
    kind: 'cut-off',
    mediaType,
    missing: `it ends after ${bytes.length} bytes, before the end of its first frame`,
  };
  if (bytes.length < screenBytes) return cutOff;
  const [widthPx, heightPx] = [uint16(bytes, 6), uint16(bytes, 8)];
  if (widthPx === 0 || heightPx === 0) {
    return { kind: 'damaged', mediaType, problem: `its size is ${widthPx} × ${heightPx} pixels` };
  }
  let at = screenBytes + tableBytes(bytes[10]!);
  const screen = bytes.subarray(0, at);
  let control: Uint8Array = new Uint8Array(0);
  while (bytes[at] === extension) {
    const end = afterBlocks(bytes, at + 2);
    if (end === undefined) return cutOff;
    if (bytes[at + 1] === graphicControl) control = bytes.subarray(at, end);
    at = end;
  }
  if (at + 10 > bytes.length) return cutOff;
  if (bytes[at] !== imageDescriptor) return { kind: 'damaged', mediaType, problem: 'its first frame is missing' };
  const end = afterBlocks(bytes, at + 10 + tableBytes(bytes[at + 9]!) + 1);
  if (end === undefined) return cutOff;
  const isTransparent = ((control[3] ?? 0) & 1) === 1;
  const [leftPx, topPx] = [uint16(bytes, at + 1), uint16(bytes, at + 3)];
  const [frameWidthPx, frameHeightPx] = [uint16(bytes, at + 5), uint16(bytes, at + 7)];
  const isFull = leftPx === 0 && topPx === 0 && frameWidthPx === widthPx && frameHeightPx === heightPx;
  return {
    kind: 'image',
    image: {
      mediaType,
      widthPx,
      heightPx,
      orientation: 1,
      bytes: joinBytes([screen, control, bytes.subarray(at, end), Uint8Array.of(trailer)]),
      decoder: 'browser',
      isOpaque: isFull && !isTransparent,
    },
  };
}

/** The length of a colour table, by the flags that announce it. */
function tableBytes(flags: number): number {
  return flags & 0x80 ? 3 * 2 ** ((flags & 0x07) + 1) : 0;
}

/** Returns where a sequence of blocks ends, each of which starts with its length; undefined if it is cut off. */
function afterBlocks(bytes: Uint8Array, from: number): number | undefined {
  let at = from;
  while (at < bytes.length) {
    const length = bytes[at]!;
    at += 1 + length;
    if (length === 0) return at;
  }
  return undefined;
}

function uint16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}
