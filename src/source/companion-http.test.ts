import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CompanionModel } from '../contract/companion';
import type { RunImage } from '../contract/run';
import type { EncodedPicture } from '../inference/picture-client';
import { createCompanionHttp, type EncodePicture, imageRefusal } from './companion-http';

function imageOf(name: string, widthPx: number, heightPx: number, bytes = 10): RunImage {
  const blob = new Blob([new Uint8Array(bytes)], { type: 'image/png' });
  return { bytes: new Uint8Array(1), mediaType: 'image/png', name, sha256: name, picture: { blob, widthPx, heightPx } };
}

/** The hash of the pixels says how wide the picture is. */
const encode: EncodePicture = async ({ blob, widthPx }): Promise<EncodedPicture> => ({
  png: blob,
  pngSha256: 'p',
  pixelsSha256: `${widthPx} wide`,
});

const [first, second] = [imageOf('a', 40, 30), imageOf('b', 20, 50)];
const limits = { imageBytes: 1_000_000, imagePixels: 3000, images: 2, imageAspectRatio: 100, unembeddingIds: 4 };
const model = { name: 'tiny', limits } as CompanionModel;
const withLimits = (change: Partial<typeof limits>) => ({ ...model, limits: { ...limits, ...change } });

describe('a question to a companion', () => {
  let sent: FormData;
  beforeEach(() => {
    vi.stubGlobal('fetch', async (_url: URL, { body }: RequestInit) => {
      sent = body as FormData;
      return new Response(new Uint8Array([1]));
    });
  });
  afterEach(() => vi.unstubAllGlobals());

  const http = createCompanionHttp('http://box:8642/v1/', encode);
  const request = async () => JSON.parse(await (sent.get('request') as Blob).text());
  const never = new AbortController().signal;

  it('about one image has its pixels as an object', async () => {
    await http.generate({ image: first, text: 'What?' }, { sendUnembedding: false }, never);
    expect((await request()).pixels).toEqual({ widthPx: 40, heightPx: 30, sha256: '40 wide' });
    expect(sent.getAll('image').map((part) => (part as File).name)).toEqual(['a.png']);
  });

  it('about several images has one part and one entry for each, in order', async () => {
    const question = { image: second, images: [second, first], text: 'What?' };
    await http.generate(question, { sendUnembedding: false }, never);
    expect((await request()).pixels).toEqual([
      { widthPx: 20, heightPx: 50, sha256: '20 wide' },
      { widthPx: 40, heightPx: 30, sha256: '40 wide' },
    ]);
    expect(sent.getAll('image').map((part) => (part as File).name)).toEqual(['b.png', 'a.png']);
  });
});

describe('images that the companion would refuse', () => {
  it('are accepted within the limits', async () => {
    expect(await imageRefusal([first, second], model, encode)).toBeUndefined();
  });

  it.each([
    ['one too many', withLimits({ images: 1 }), 'The question has 2 images; tiny accepts at most 1 image here'],
    ['too many pixels', withLimits({ imagePixels: 2199 }), 'The 2 images together have 2200 pixels (40 × 30, 20 × 50)'],
    ['too many bytes', withLimits({ imageBytes: 19 }), 'The 2 images together have 20 bytes as the PNGs that are sent'],
    ['a narrow one', withLimits({ imageAspectRatio: 2 }), 'b is 20 × 50 pixels; the companion accepts sides up to 2:1'],
  ])('together: %s', async (_name, facts, message) => {
    expect(await imageRefusal([first, second], facts, encode)).toContain(message);
    expect(await imageRefusal([first], facts, encode)).toBeUndefined();
  });
});
