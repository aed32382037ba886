import { describe, expect, it } from 'vitest';
import { parseImageHeader } from './image-header';

// The first bytes of 37 x 21 pixel images, written by Pillow. The JPEG is progressive and has an EXIF segment.
const images = {
  'image/png': ['iVBORw0KGgoAAAANSUhEUgAAACUAAAAVCAIAAABOhrD5'],
  'image/gif': ['R0lGODdhJQAVAIEAAMgeKAAAAAAAAAAAACw='],
  'image/webp': [
    'UklGRkIAAABXRUJQVlA4IDYAAAAQAwCdASolABUAP3G202G0ryqmJWgCkC4JZwAAKUMRiAAA/t+APoPi5f/6iewjvvmAAAAAAAA=',
    'UklGRh4AAABXRUJQVlA4TBEAAAAvJAAFAAdQjyIXpf+BiOh/AAA=',
    'UklGRnoAAABXRUJQVlA4WAoAAAAYAAAAJAAAFAAAQUxQSAoAAAABBw==',
  ],
  'image/jpeg': [
    '/9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDAFA3PEY8MlBGQUZaVVBfeMiCeG5ueP' +
      'WvuZHI////////////////////////////////////////////////////2wBDAVVaWnhpeOuCguv//////////////////////////////////' +
      '///////////////////////////////////////wgARCAAVACUDASIAAhEBAxEB/w==',
  ],
};
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));
const cases = Object.entries(images).flatMap(([mediaType, list]) => list.map((text) => ({ mediaType, text })));

describe("an image's first bytes", () => {
  it.each(cases)('contain its type and size: $mediaType', ({ mediaType, text }) => {
    expect(parseImageHeader(bytesOf(text))).toEqual({ kind: 'image', mediaType, widthPx: 37, heightPx: 21 });
  });

  it.each(cases)('never yield a wrong size or an exception when cut off: $mediaType', ({ mediaType, text }) => {
    const whole = bytesOf(text);
    for (let length = 0; length < whole.length; length++) {
      const header = parseImageHeader(whole.slice(0, length));
      if (header.kind === 'image') expect(header).toMatchObject({ mediaType, widthPx: 37, heightPx: 21 });
      else expect(header.kind === 'damaged' || length < 12).toBe(true);
    }
  });

  it('are not recognised in other files', () => {
    for (const text of ['', 'these are notes', '<svg xmlns="http://www.w3.org/2000/svg"/>', 'RIFF....WAVEfmt ']) {
      expect(parseImageHeader(new TextEncoder().encode(text))).toEqual({ kind: 'not-an-image' });
    }
  });
});
