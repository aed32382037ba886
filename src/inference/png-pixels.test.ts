import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseImageFile } from '../contract/image-file';
import { flattenOnWhite, makeUpright } from '../math/pixels';
import { decodePng } from './png-pixels';

interface Expected {
  readonly widthPx: number;
  readonly heightPx: number;
  /** In Base64. */
  readonly rgb: string;
}

// The files and their pixels as Python reads them: companion/tests/makers/picture_fixture.py.
const folder = new URL('./fixtures/pictures/', import.meta.url);
const pictures: Record<string, Expected> = JSON.parse(readFileSync(new URL('pixels.json', folder), 'utf8'));
const pngs = Object.keys(pictures).filter((name) => name.endsWith('.png'));

function stillOf(name: string) {
  const file = parseImageFile(new Uint8Array(readFileSync(new URL(name, folder))));
  if (file.kind !== 'image') throw new Error(`expected an image, got ${file.kind}`);
  return file.image;
}

describe('a PNG', () => {
  it.each(pngs)('has the pixels that Python reads: %s', async (name) => {
    const { bytes, orientation } = stillOf(name);
    const decoded = await decodePng(bytes);
    flattenOnWhite(decoded);
    const { widthPx, heightPx, rgba } = makeUpright(decoded, orientation);
    const expected = pictures[name]!;
    expect([widthPx, heightPx]).toEqual([expected.widthPx, expected.heightPx]);
    const rgb = Buffer.from(rgba.filter((_, i) => i % 4 < 3));
    expect(rgb.toString('base64')).toBe(expected.rgb);
    expect(rgba.every((value, i) => i % 4 < 3 || value === 255)).toBe(true);
  });

  it('whose compressed pixels are damaged or too few is refused', async () => {
    const { bytes } = stillOf('rgba.png');
    const damaged = bytes.slice();
    damaged[60] = damaged[60]! ^ 0xff;
    await expect(decodePng(damaged)).rejects.toThrow();
    const taller = bytes.slice();
    taller[23] = 200;
    await expect(decodePng(taller)).rejects.toThrow(/its pixels end after 477 of 10600 bytes/);
  });
});
