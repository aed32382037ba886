import type { CheckedImage } from '../contract/checked-image';
import { type ImageMediaType, parseImageHeader } from '../contract/image-header';
import { sha256Hex } from '../contract/sha256';

const maxBytes = 100_000_000;
const maxPixels = 64_000_000;
/** The maximum canvas width supported by every browser. */
const maxSidePx = 16_384;

const typeNames: Record<ImageMediaType, string> = {
  'image/png': 'PNG',
  'image/jpeg': 'JPEG',
  'image/webp': 'WebP',
  'image/gif': 'GIF',
};

/** Checks file type, byte size and pixel count, then decodes once to make sure that it can be decoded. */
export async function readImage(file: Blob, name: string): Promise<CheckedImage> {
  if (file.size > maxBytes) {
    return refused(`${name} has ${megas(file.size)} MB; the limit is ${megas(maxBytes)} MB.`);
  }
  const bytes = new Uint8Array(await file.arrayBuffer());
  const header = parseImageHeader(bytes);
  switch (header.kind) {
    case 'not-an-image':
      return refused(`${name} is not a supported image. Use PNG, JPEG, WebP or GIF.`);
    case 'damaged':
      return refused(`${name} is a damaged ${typeNames[header.mediaType]} image: its size is missing.`);
    case 'image':
      break;
  }
  const { widthPx, heightPx, mediaType } = header;
  if (widthPx * heightPx > maxPixels || Math.max(widthPx, heightPx) > maxSidePx) {
    const size = `${widthPx} × ${heightPx} pixels (${megas(widthPx * heightPx)} megapixels)`;
    return refused(`${name} has ${size}; the limit is ${megas(maxPixels)} megapixels and ${maxSidePx} px per side.`);
  }
  try {
    const bitmap = await createImageBitmap(new Blob([bytes], { type: mediaType }));
    const size = { widthPx: bitmap.width, heightPx: bitmap.height };
    bitmap.close();
    const image = { bytes, mediaType, name, sha256: await sha256Hex(bytes) };
    return { kind: 'image', image, ...size };
  } catch {
    return refused(`${name} is a damaged ${typeNames[mediaType]} image: it cannot be decoded.`);
  }
}

const megas = (count: number) => (count / 1e6).toFixed(count < 10e6 ? 1 : 0);

function refused(reason: string): CheckedImage {
  return { kind: 'refused', reason };
}
