import { createHash } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { readPackedImage } from './packed-image';

const file = Uint8Array.from({ length: 100 }, (_, i) => i);
const image = file.slice(30, 50);
const place = { offset: 30, bytes: 20, sha256: createHash('sha256').update(image).digest('hex') };

const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/images.bin`;
}

const answer = (status: number, body: Uint8Array) => serve((_, response) => response.writeHead(status).end(body));

describe('readPackedImage', () => {
  it('requests only the bytes of the image', async () => {
    const ranges: (string | undefined)[] = [];
    const url = await serve((request, response) => {
      ranges.push(request.headers.range);
      const [from, to] = /^bytes=(\d+)-(\d+)$/
        .exec(request.headers.range ?? '')!
        .slice(1)
        .map(Number);
      response.writeHead(206, { 'Content-Range': `bytes ${from}-${to}/100` }).end(file.slice(from, to! + 1));
    });
    expect(await readPackedImage(url, place)).toEqual(image);
    expect(ranges).toEqual(['bytes=30-49']);
  });

  it('slices the image out of the complete file if the host ignores the range', async () => {
    expect(await readPackedImage(await answer(200, file), place)).toEqual(image);
  });

  it.each([
    ['a range that is too short', 206, file.slice(30, 45), 'expected 20 bytes at 30, got 15'],
    ['a range that is too long', 206, file.slice(30, 60), 'expected 20 bytes at 30, got 30'],
    ['a file that ends before the image', 200, file.slice(0, 40), 'expected 20 bytes at 30, got 10'],
    ['another range of that length', 206, file.slice(0, 20), 'expected SHA-256'],
    ['416', 416, file.slice(0, 0), 'the server answered 416'],
    ['404', 404, file.slice(0, 9), 'the server answered 404'],
  ])('rejects %s', async (_, status, body, reason) => {
    await expect(readPackedImage(await answer(status, body), place)).rejects.toThrow(reason);
  });

  it('rejects if there is no response', async () => {
    const url = await serve((request) => request.socket.destroy());
    await expect(readPackedImage(url, place)).rejects.toThrow();
  });
});
