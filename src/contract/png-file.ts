import { bytesOf, joinBytes } from './bytes';
import { type Orientation, parseExifOrientation } from './exif-orientation';
import type { ImageFile } from './still-image';

/** The chunks that decide the pixels, in the order of the file. */
export interface PngChunks {
  readonly header: PngHeader;
  readonly palette: Uint8Array | undefined;
  readonly transparency: Uint8Array | undefined;
  readonly data: readonly Uint8Array[];
}

export interface PngHeader {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly bitDepth: number;
  readonly colourType: ColourType;
  readonly isInterlaced: boolean;
}

type ColourType = 'grey' | 'colour' | 'palette' | 'grey-alpha' | 'colour-alpha';

const colourTypes: ReadonlyMap<number, { readonly name: ColourType; readonly depths: readonly number[] }> = new Map([
  [0, { name: 'grey', depths: [1, 2, 4, 8, 16] }],
  [2, { name: 'colour', depths: [8, 16] }],
  [3, { name: 'palette', depths: [1, 2, 4, 8] }],
  [4, { name: 'grey-alpha', depths: [8, 16] }],
  [6, { name: 'colour-alpha', depths: [8, 16] }],
]);

const signature = bytesOf('\x89PNG\r\n\x1a\n');
/** Chunks that decide the pixels. An animated PNG is read as its IDAT chunks, as a reader does that knows no animation. */
const kept = ['IHDR', 'PLTE', 'tRNS', 'IDAT', 'IEND'];

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
  /** With length, type and checksum. */
  readonly bytes: Uint8Array;
}

type Walk = { readonly chunks: readonly Chunk[] } | { readonly missing: string };

function walk(bytes: Uint8Array): Walk {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Chunk[] = [];
  let at = signature.length;
  while (at + 8 <= bytes.length) {
    const end = at + 12 + view.getUint32(at);
    if (end > bytes.length) return { missing: `it has ${bytes.length} of at least ${end} bytes` };
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    chunks.push({ type, data: bytes.subarray(at + 8, end - 4), bytes: bytes.subarray(at, end) });
    if (type === 'IEND') return { chunks };
    at = end;
  }
  return { missing: `it ends after ${bytes.length} bytes, before its last chunk` };
}

export function parsePng(bytes: Uint8Array): ImageFile {
  const mediaType = 'image/png';
  const walked = walk(bytes);
  if ('missing' in walked) return { kind: 'cut-off', mediaType, missing: walked.missing };
  const parsed = chunksOf(walked.chunks);
  if (typeof parsed === 'string') return { kind: 'damaged', mediaType, problem: parsed };
  const { header, palette, transparency } = parsed;
  const { widthPx, heightPx, bitDepth, colourType } = header;
  const isOpaque = transparency === undefined && colourType !== 'grey-alpha' && colourType !== 'colour-alpha';
  const orientation = orientationOf(walked.chunks);
  const parts = walked.chunks
    .filter(({ type }) => kept.includes(type))
    .map((chunk) =>
      chunk.data === palette && colourType === 'palette' ? fullPalette(palette, bitDepth) : chunk.bytes,
    );
  return {
    kind: 'image',
    image: {
      mediaType,
      widthPx,
      heightPx,
      orientation,
      bytes: joinBytes([signature, ...parts]),
      decoder: isOpaque && bitDepth <= 8 ? 'browser' : 'png',
      isOpaque,
    },
  };
}

/** Returns the palette as a chunk with all entries: decoders draw those that do not exist in different colours. */
function fullPalette(palette: Uint8Array, bitDepth: number): Uint8Array {
  const chunk = new Uint8Array(12 + 3 * 2 ** bitDepth);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, chunk.length - 12);
  chunk.set(bytesOf('PLTE'), 4);
  chunk.set(palette.subarray(0, chunk.length - 12), 8);
  view.setUint32(chunk.length - 4, crc32(chunk.subarray(4, -4)));
  return chunk;
}

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** Reads the chunks of a file that `parsePng` accepted. Throws for other files. */
export function readPngChunks(bytes: Uint8Array): PngChunks {
  const walked = walk(bytes);
  const parsed = 'missing' in walked ? walked.missing : chunksOf(walked.chunks);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

/** Returns what is wrong, as the rest of a sentence, if the chunks cannot be those of an image. */
function chunksOf(chunks: readonly Chunk[]): PngChunks | string {
  const first = chunks[0];
  if (first?.type !== 'IHDR' || first.data.length !== 13) return 'its size is missing';
  const view = new DataView(first.data.buffer, first.data.byteOffset, 13);
  const [widthPx, heightPx] = [view.getUint32(0), view.getUint32(4)];
  if (widthPx === 0 || heightPx === 0) return `its size is ${widthPx} × ${heightPx} pixels`;
  const bitDepth = view.getUint8(8);
  const colours = colourTypes.get(view.getUint8(9));
  if (!colours?.depths.includes(bitDepth))
    return `its colour type ${view.getUint8(9)} with ${bitDepth} bits does not exist`;
  const interlacing = view.getUint8(12);
  if (interlacing > 1) return `its interlace method ${interlacing} does not exist`;
  const data = chunks.filter(({ type }) => type === 'IDAT').map((chunk) => chunk.data);
  if (data.length === 0) return 'its pixels are missing';
  const palette = chunks.find(({ type }) => type === 'PLTE')?.data;
  if (colours.name === 'palette' && palette === undefined) return 'its palette is missing';
  const header = { widthPx, heightPx, bitDepth, colourType: colours.name, isInterlaced: interlacing === 1 };
  const hasAlpha = colours.name === 'grey-alpha' || colours.name === 'colour-alpha';
  const transparency = hasAlpha ? undefined : chunks.find(({ type }) => type === 'tRNS')?.data;
  return { header, palette, transparency, data };
}

function orientationOf(chunks: readonly Chunk[]): Orientation {
  const exif = chunks.find(({ type }) => type === 'eXIf');
  return exif === undefined ? 1 : parseExifOrientation(exif.data);
}
