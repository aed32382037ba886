import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, joinBytes } from './bytes';
import { parseImageFile } from './image-file';
import type { StillImage } from './still-image';

const folder = new URL('../inference/fixtures/pictures/', import.meta.url);
const names = readdirSync(folder).filter((name) => !name.endsWith('.json'));
const fileOf = (name: string) => new Uint8Array(readFileSync(new URL(name, folder)));

function stillOf(bytes: Uint8Array): StillImage {
  const file = parseImageFile(bytes);
  if (file.kind !== 'image') throw new Error(`expected an image, got ${JSON.stringify(file)}`);
  return file.image;
}

/** Text of the file, to look for the names of chunks in it. */
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

describe('an image file', () => {
  it.each(names)('has its size, and keeps no metadata: %s', (name) => {
    const { widthPx, heightPx, bytes } = stillOf(fileOf(name));
    expect([widthPx, heightPx]).toEqual([13, 9]);
    expect(textOf(bytes)).not.toMatch(
      /iCCP|gAMA|cHRM|sRGB|cICP|eXIf|iTXt|ICCP|XMP |EXIF|ICC_PROFILE|acTL|fdAT|ANMF|NETSCAPE/,
    );
  });

  it.each(names)('stays the same if it is read again without metadata: %s', (name) => {
    const once = stillOf(fileOf(name));
    const again = stillOf(once.bytes);
    expect(again.bytes).toEqual(once.bytes);
    expect(again).toMatchObject({ isOpaque: once.place ? again.isOpaque : once.isOpaque, decoder: once.decoder });
  });

  it('has the orientation of its EXIF data', () => {
    for (let orientation = 2; orientation <= 8; orientation++) {
      for (const type of ['png', 'jpg'])
        expect(stillOf(fileOf(`orientation-${orientation}.${type}`))).toMatchObject({ orientation });
    }
    expect(stillOf(fileOf('orientation-6.webp')).orientation).toBe(6);
    expect(stillOf(fileOf('rgb.png')).orientation).toBe(1);
  });

  it('is decoded by a browser unless it has alpha or 16 bits', () => {
    const decoders = Object.fromEntries(names.map((name) => [name, stillOf(fileOf(name)).decoder]));
    for (const [name, decoder] of Object.entries(decoders)) {
      const isOwn = /alpha|16-bit|key|rgba|palette-alpha|animated-part.webp/.test(name);
      expect([name, decoder]).toEqual([name, isOwn ? (name.endsWith('png') ? 'png' : 'libwebp') : 'browser']);
    }
  });

  it('is said to be truncated wherever it was cut off', () => {
    for (const name of names) {
      const whole = fileOf(name);
      // After its first frame, the rest of an animated GIF does not matter.
      const end = name.endsWith('.gif') ? stillOf(whole).bytes.length - 1 : whole.length;
      for (let length = 12; length < end; length++) {
        const file = parseImageFile(whole.slice(0, length));
        expect([name, length, file.kind]).toEqual([name, length, 'cut-off']);
        if (file.kind === 'cut-off') expect(file.missing).toContain(String(length));
      }
    }
  });

  it('of another type is named', () => {
    const found = (text: string) => {
      const file = parseImageFile(bytesOf(text));
      return file.kind === 'unsupported' ? file.found : file.kind;
    };
    expect(found('')).toBe('an empty file');
    expect(found('these are notes')).toBe('a file of an unknown type');
    expect(found('<svg xmlns="http://www.w3.org/2000/svg"/>')).toBe('an SVG drawing');
    expect(found('RIFF....WAVEfmt ')).toBe('a file of an unknown type');
    expect(found('\0\0\0\x1cftypavif')).toBe('an AVIF image');
    expect(found('\0\0\0\x1cftypheic')).toBe('an HEIC image');
    expect(found('BM......')).toBe('a BMP image');
    expect(found('version https://git-lfs.github.com/spec/v1')).toBe('a Git LFS pointer, not the image itself');
  });

  it('with an impossible header is damaged', () => {
    const broken = (at: number, value: number) => {
      const bytes = fileOf('rgb.png');
      bytes[at] = value;
      return parseImageFile(bytes);
    };
    expect(broken(19, 0)).toMatchObject({ kind: 'damaged', problem: 'its size is 0 × 9 pixels' });
    expect(broken(24, 3)).toMatchObject({ kind: 'damaged', problem: 'its colour type 2 with 3 bits does not exist' });
    expect(broken(12, 0x40)).toMatchObject({ kind: 'damaged', problem: 'its size is missing' });
  });

  it('of any bytes is read or refused, and what is read can be read again', () => {
    const starts = [
      '',
      '\x89PNG\r\n\x1a\n',
      '\xff\xd8\xff',
      'GIF89a',
      'RIFF\x20\0\0\0WEBPVP8X',
      'RIFF\x20\0\0\0WEBPVP8L',
    ];
    const bytes = fc.tuple(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 200 }));
    fc.assert(
      fc.property(bytes, ([start, rest]) => {
        const file = parseImageFile(joinBytes([bytesOf(start), rest]));
        if (file.kind === 'image') expect(parseImageFile(file.image.bytes).kind).toBe('image');
      }),
      { numRuns: 2000 },
    );
  });

  it('with bytes changed anywhere is read or refused', () => {
    const change = fc.tuple(fc.constantFrom(...names), fc.nat(), fc.nat({ max: 255 }), fc.nat());
    fc.assert(
      fc.property(change, ([name, at, value, length]) => {
        const bytes = fileOf(name);
        bytes[at % bytes.length] = value;
        const file = parseImageFile(bytes.slice(0, length % 3 === 0 ? length % bytes.length : undefined));
        if (file.kind === 'image') expect(file.image.widthPx * file.image.heightPx).toBeGreaterThan(0);
      }),
      { numRuns: 2000 },
    );
  });
});
