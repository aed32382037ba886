// Reads an image's type and size from its first bytes, before decoding: a small file may decode to gigabytes of pixels.

export type ImageMediaType = 'image/png' | 'image/jpeg' | 'image/webp' | 'image/gif';

export type ImageHeader =
  /** Sizes as stored, without the camera's rotation applied. */
  | { readonly kind: 'image'; readonly mediaType: ImageMediaType; readonly widthPx: number; readonly heightPx: number }
  /** The bytes start like an image of this type, but its size cannot be read. */
  | { readonly kind: 'damaged'; readonly mediaType: ImageMediaType }
  | { readonly kind: 'not-an-image' };

export function parseImageHeader(bytes: Uint8Array): ImageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (startsWith(bytes, 0, '\x89PNG\r\n\x1a\n')) return sized('image/png', pngSize(bytes, view));
  if (startsWith(bytes, 0, '\xff\xd8\xff')) return sized('image/jpeg', jpegSize(view));
  if (startsWith(bytes, 0, 'GIF87a') || startsWith(bytes, 0, 'GIF89a')) return sized('image/gif', gifSize(view));
  if (startsWith(bytes, 0, 'RIFF') && startsWith(bytes, 8, 'WEBP')) return sized('image/webp', webpSize(bytes, view));
  return { kind: 'not-an-image' };
}

type Size = readonly [widthPx: number, heightPx: number] | undefined;

function sized(mediaType: ImageMediaType, size: Size): ImageHeader {
  if (size === undefined || size[0] === 0 || size[1] === 0) return { kind: 'damaged', mediaType };
  return { kind: 'image', mediaType, widthPx: size[0], heightPx: size[1] };
}

function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  return bytes.length >= at + text.length && [...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));
}

function pngSize(bytes: Uint8Array, view: DataView): Size {
  return bytes.length >= 24 && startsWith(bytes, 12, 'IHDR') ? [view.getUint32(16), view.getUint32(20)] : undefined;
}

function gifSize(view: DataView): Size {
  return view.byteLength >= 10 ? [view.getUint16(6, true), view.getUint16(8, true)] : undefined;
}

/** Walks the segments to the first start-of-frame marker; a thumbnail's frame, inside another segment, is skipped. */
function jpegSize(view: DataView): Size {
  let at = 2;
  while (at + 9 <= view.byteLength) {
    if (view.getUint8(at) !== 0xff) return undefined;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return [view.getUint16(at + 7), view.getUint16(at + 5)];
    const hasNoLength = marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    at += hasNoLength ? 2 : 2 + view.getUint16(at + 2);
  }
  return undefined;
}

function webpSize(bytes: Uint8Array, view: DataView): Size {
  if (bytes.length < 30) return undefined;
  const uint24 = (at: number) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  if (startsWith(bytes, 12, 'VP8X')) return [uint24(24) + 1, uint24(27) + 1];
  if (startsWith(bytes, 12, 'VP8L')) {
    const packed = view.getUint32(21, true);
    return [(packed & 0x3fff) + 1, ((packed >>> 14) & 0x3fff) + 1];
  }
  if (startsWith(bytes, 12, 'VP8 ')) return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
  return undefined;
}
