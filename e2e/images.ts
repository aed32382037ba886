import { deflateSync } from 'node:zlib';

const crcTable = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  let crc = 0xffffffff;
  for (const byte of body) crc = (crcTable[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE((crc ^ 0xffffffff) >>> 0, body.length + 4);
  return out;
}

function png(widthPx: number, heightPx: number, bitDepth: number, colourType: number, rows: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(widthPx, 0);
  header.writeUInt32BE(heightPx, 4);
  header[8] = bitDepth;
  header[9] = colourType;
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** Returns a valid RGB image: a light background with a coloured disk in the middle. */
export function diskPng(widthPx: number, heightPx: number, colour: readonly [number, number, number]): Buffer {
  const rows = Buffer.alloc(heightPx * (1 + widthPx * 3), 190);
  const radiusPx = Math.min(widthPx, heightPx) / 4;
  for (let y = 0; y < heightPx; y++) {
    const start = y * (1 + widthPx * 3);
    rows[start] = 0;
    for (let x = 0; x < widthPx; x++) {
      if (Math.hypot(x - widthPx / 2, y - heightPx / 2) < radiusPx) rows.set(colour, start + 1 + x * 3);
    }
  }
  return png(widthPx, heightPx, 8, 2, rows);
}

/** Returns a valid image of 12,000 x 9,000 pixels in a few kilobytes. */
export function hugePng(): Buffer {
  return png(12_000, 9_000, 1, 0, Buffer.alloc(9_000 * (1 + 1_500)));
}

/** Returns an image that is cut off after 400 bytes. */
export function brokenPng(): Buffer {
  return diskPng(336, 336, [200, 30, 30]).subarray(0, 400);
}

/** Adds EXIF orientation 6: viewers must rotate the image by a quarter turn clockwise. */
export function rotatedJpeg(jpeg: Buffer): Buffer {
  const orientation = [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0];
  const tiff = [...Buffer.from('MM\0*', 'latin1'), 0, 0, 0, 8, 0, 1, ...orientation, 0, 0, 0, 0];
  const exif = Buffer.from([...Buffer.from('Exif\0\0', 'latin1'), ...tiff]);
  return Buffer.concat([jpeg.subarray(0, 2), Buffer.from([0xff, 0xe1, 0, exif.length + 2]), exif, jpeg.subarray(2)]);
}
