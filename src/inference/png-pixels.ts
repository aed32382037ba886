// Decodes PNG files with transparency or 16-bit samples. Browsers blend and round them differently, and give no access
// to the samples; the libraries for it read interlaced images of less than 8 bits wrong.
import { joinBytes } from '../contract/bytes';
import { type PngChunks, type PngHeader, readPngChunks } from '../contract/png-file';
import type { Pixels } from '../math/pixels';

/** Offsets and steps of the passes of an interlaced image (Adam7). */
const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;
const samplesPerPixel = { grey: 1, colour: 3, palette: 1, 'grey-alpha': 2, 'colour-alpha': 4 } as const;

interface Pass {
  readonly x: number;
  readonly y: number;
  readonly stepX: number;
  readonly stepY: number;
  readonly cols: number;
  readonly rows: number;
  /** Without the filter byte. */
  readonly rowBytes: number;
}

/** Rejects if the compressed pixels are damaged or incomplete. Samples of 16 bits keep their high byte. */
export async function decodePng(bytes: Uint8Array): Promise<Pixels> {
  const chunks = readPngChunks(bytes);
  const { widthPx, heightPx } = chunks.header;
  const list = passesOf(chunks.header);
  const length = list.reduce((sum, { rows, rowBytes }) => sum + rows * (1 + rowBytes), 0);
  const filtered = await inflate(chunks.data, length);
  const rgba = new Uint8ClampedArray(widthPx * heightPx * 4);
  const put = pixelWriter(chunks, rgba);
  const { bitDepth, colourType, isInterlaced } = chunks.header;
  /** Rows are copied as they are: most large images with transparency are of this kind. */
  const isRgba = colourType === 'colour-alpha' && bitDepth === 8 && !isInterlaced;
  const step = Math.max(1, (samplesPerPixel[colourType] * bitDepth) >> 3);
  let at = 0;
  for (const { x, y, stepX, stepY, cols, rows, rowBytes } of list) {
    let above = new Uint8Array(rowBytes);
    for (let row = 0; row < rows; row++) {
      const current = filtered.subarray(at + 1, at + 1 + rowBytes);
      unfilter(filtered[at]!, current, above, step);
      if (isRgba) rgba.set(current, row * rowBytes);
      else for (let col = 0; col < cols; col++) put(current, col, ((y + row * stepY) * widthPx + x + col * stepX) * 4);
      above = current;
      at += 1 + rowBytes;
    }
  }
  return { widthPx, heightPx, rgba };
}

function passesOf({ widthPx, heightPx, bitDepth, colourType, isInterlaced }: PngHeader): Pass[] {
  const list = isInterlaced ? passes : ([[0, 0, 1, 1]] as const);
  return list
    .map(([x, y, stepX, stepY]) => {
      const cols = Math.ceil((widthPx - x) / stepX);
      const rows = Math.ceil((heightPx - y) / stepY);
      return {
        x,
        y,
        stepX,
        stepY,
        cols,
        rows,
        rowBytes: Math.ceil((cols * samplesPerPixel[colourType] * bitDepth) / 8),
      };
    })
    .filter(({ cols, rows }) => cols > 0 && rows > 0);
}

async function inflate(parts: readonly Uint8Array[], length: number): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Uint8Array(length);
  const stream = new Blob([joinBytes(parts)]).stream().pipeThrough(new DecompressionStream('deflate'));
  const reader = stream.getReader();
  let at = 0;
  while (at < length) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`its pixels end after ${at} of ${length} bytes`);
    out.set(value.subarray(0, length - at), at);
    at += value.length;
  }
  void reader.cancel().catch(() => {}); // what follows the pixels does not matter
  return out;
}

/** Undoes a row's filter, in place. `step`: bytes per pixel, at least 1. */
function unfilter(filter: number, row: Uint8Array, above: Uint8Array, step: number): void {
  switch (filter) {
    case 0:
      return;
    case 1:
      for (let i = step; i < row.length; i++) row[i] = row[i]! + row[i - step]!;
      return;
    case 2:
      for (let i = 0; i < row.length; i++) row[i] = row[i]! + above[i]!;
      return;
    case 3:
      for (let i = 0; i < row.length; i++) row[i] = row[i]! + (((i < step ? 0 : row[i - step]!) + above[i]!) >> 1);
      return;
    case 4:
      for (let i = 0; i < row.length; i++) {
        const left = i < step ? 0 : row[i - step]!;
        const corner = i < step ? 0 : above[i - step]!;
        row[i] = row[i]! + paeth(left, above[i]!, corner);
      }
      return;
    default:
      throw new Error(`its row filter ${filter} does not exist`);
  }
}

function paeth(left: number, above: number, corner: number): number {
  const byLeft = Math.abs(above - corner);
  const byAbove = Math.abs(left - corner);
  const byCorner = Math.abs(left + above - 2 * corner);
  if (byLeft <= byAbove && byLeft <= byCorner) return left;
  return byAbove <= byCorner ? above : corner;
}

type PutPixel = (row: Uint8Array, col: number, to: number) => void;

/** Returns a function that writes pixel `col` of an unfiltered row as RGBA. */
function pixelWriter({ header, palette, transparency }: PngChunks, rgba: Uint8ClampedArray): PutPixel {
  const { bitDepth, colourType } = header;
  const key = transparency && keyOf(transparency, bitDepth);
  const put = (to: number, r: number, g: number, b: number, a: number) => {
    rgba[to] = r;
    rgba[to + 1] = g;
    rgba[to + 2] = b;
    rgba[to + 3] = a;
  };
  const sampleAt = sampleReader(bitDepth);
  // Samples of 1, 2 and 4 bits are stretched to 0 to 255; samples of 16 bits keep their high byte.
  const toByte = bitDepth === 16 ? (v: number) => v >> 8 : (v: number) => v * (255 / (2 ** bitDepth - 1));
  switch (colourType) {
    case 'palette':
      return (row, col, to) => {
        const entry = sampleAt(row, col);
        const [r = 0, g = 0, b = 0] = palette!.subarray(3 * entry, 3 * entry + 3);
        put(to, r, g, b, transparency?.[entry] ?? 255);
      };
    case 'grey':
      return (row, col, to) => {
        const value = sampleAt(row, col);
        const grey = toByte(value);
        put(to, grey, grey, grey, value === key?.[0] ? 0 : 255);
      };
    case 'grey-alpha':
      return (row, col, to) => {
        const grey = toByte(sampleAt(row, 2 * col));
        put(to, grey, grey, grey, toByte(sampleAt(row, 2 * col + 1)));
      };
    case 'colour':
      return (row, col, to) => {
        const [r, g, b] = [sampleAt(row, 3 * col), sampleAt(row, 3 * col + 1), sampleAt(row, 3 * col + 2)];
        const isKey = key !== undefined && r === key[0] && g === key[1] && b === key[2];
        put(to, toByte(r), toByte(g), toByte(b), isKey ? 0 : 255);
      };
    case 'colour-alpha':
      return (row, col, to) => {
        const at = 4 * col;
        const alpha = toByte(sampleAt(row, at + 3));
        put(to, toByte(sampleAt(row, at)), toByte(sampleAt(row, at + 1)), toByte(sampleAt(row, at + 2)), alpha);
      };
  }
}

function sampleReader(bitDepth: number): (row: Uint8Array, index: number) => number {
  if (bitDepth === 8) return (row, index) => row[index]!;
  if (bitDepth === 16) return (row, index) => (row[2 * index]! << 8) | row[2 * index + 1]!;
  const perByte = 8 / bitDepth;
  const mask = 2 ** bitDepth - 1;
  return (row, index) => (row[Math.floor(index / perByte)]! >> (8 - bitDepth * ((index % perByte) + 1))) & mask;
}

/** The transparent colour, in samples of the file's depth. Bits above it do not count. */
function keyOf(transparency: Uint8Array, bitDepth: number): number[] {
  return Array.from(
    { length: transparency.length >> 1 },
    (_, i) => ((transparency[2 * i]! << 8) | transparency[2 * i + 1]!) & (2 ** bitDepth - 1),
  );
}
