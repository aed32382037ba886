import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, joinBytes } from './bytes';
import { orientationSegment, parseExifOrientation } from './exif-orientation';

/** EXIF data with one entry: tag, type, count and value, in either byte order. */
function exifOf(isLittle: boolean, type: number, count: number, value: number, tag = 0x0112): Uint8Array {
  const view = new DataView(new ArrayBuffer(26));
  view.setUint16(0, isLittle ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, isLittle);
  view.setUint32(4, 8, isLittle);
  view.setUint16(8, 1, isLittle);
  view.setUint16(10, tag, isLittle);
  view.setUint16(12, type, isLittle);
  view.setUint32(14, count, isLittle);
  if (type === 4) view.setUint32(18, value, isLittle);
  else view.setUint16(18, value, isLittle);
  return new Uint8Array(view.buffer);
}

describe('the orientation in EXIF data', () => {
  it.each([true, false])('is read in both byte orders, with and without a prefix (little: %s)', (isLittle) => {
    for (let orientation = 1; orientation <= 8; orientation++) {
      for (const type of [3, 4]) {
        const exif = exifOf(isLittle, type, 1, orientation);
        expect(parseExifOrientation(exif)).toBe(orientation);
        expect(parseExifOrientation(joinBytes([bytesOf('Exif\0\0'), exif]))).toBe(orientation);
      }
    }
  });

  it('is 1 if it is missing, of another type or out of range', () => {
    expect(parseExifOrientation(exifOf(true, 3, 1, 6, 0x0110))).toBe(1);
    expect(parseExifOrientation(exifOf(true, 1, 1, 6))).toBe(1);
    expect(parseExifOrientation(exifOf(true, 3, 2, 6))).toBe(1);
    for (const value of [0, 9, 600]) expect(parseExifOrientation(exifOf(true, 3, 1, value))).toBe(1);
  });

  it('is what was written', () => {
    for (const orientation of [2, 3, 4, 5, 6, 7, 8] as const) {
      expect(parseExifOrientation(orientationSegment(orientation).subarray(4))).toBe(orientation);
    }
  });

  it('of any bytes is from 1 to 8', () => {
    const starts = ['', 'Exif\0\0', 'II*\0', 'MM\0*', 'Exif\0\0MM\0*\0\0\0\x08'];
    fc.assert(
      fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 60 }), (start, rest) => {
        const orientation = parseExifOrientation(joinBytes([bytesOf(start), rest]));
        expect(orientation >= 1 && orientation <= 8).toBe(true);
      }),
    );
  });
});
