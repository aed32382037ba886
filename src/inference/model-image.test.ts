import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { bicubicWeights } from './bicubic';
import fixture from './fixtures/pillow-bicubic.json';
import { type PixelStrips, prepareImage, resize } from './model-image';

/** The same noise as companion/tests/embedded/training/test_model_image.py, in RGBA. */
function noise(widthPx: number, heightPx: number): PixelStrips {
  const rgba = new Uint8ClampedArray(widthPx * heightPx * 4).fill(255);
  let state = 1;
  for (let i = 0; i < widthPx * heightPx * 3; i++) {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    const value = Math.floor(((state >>> 22) * 425) / 1024) - 85;
    rgba[Math.floor(i / 3) * 4 + (i % 3)] = value;
  }
  const read = (row: number, rows: number) => rgba.subarray(row * widthPx * 4, (row + rows) * widthPx * 4);
  return { widthPx, heightPx, read };
}

const preparation = {
  sizePx: 336,
  grid: { rows: 24, cols: 24 },
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
  description: 'shorter side to 336 px (bicubic), centre crop',
} as const;

describe('the model image', () => {
  it.each(fixture.resizes)('is resized as Pillow does it, bit for bit: $from to $to', ({ from, to, rgb }) => {
    const [widthPx = 0, heightPx = 0] = from;
    const [toWidthPx = 0, toHeightPx = 0] = to;
    const x = bicubicWeights(widthPx, toWidthPx);
    const y = bicubicWeights(heightPx, toHeightPx);
    expect(Array.from(resize(noise(widthPx, heightPx), x, y))).toEqual(rgb);
  });

  it.each(fixture.images)('is cropped and normalised as the CLIP processor does it: $size', (expected) => {
    const [widthPx = 0, heightPx = 0] = expected.size;
    const { pixelValues, geometry } = prepareImage(noise(widthPx, heightPx), preparation);
    const rgb = new Uint8Array(336 * 336 * 3);
    for (let i = 0; i < rgb.length; i++) {
      const c = i % 3;
      const value = pixelValues[c * 336 * 336 + Math.floor(i / 3)]!;
      rgb[i] = Math.round((value * preparation.std[c]! + preparation.mean[c]!) * 255);
    }
    expect(createHash('sha256').update(rgb).digest('hex')).toBe(expected.cropSha256);

    const step = Math.floor((336 * 336) / 4) + 1;
    expected.pixelValues.forEach((value, i) => {
      expect(pixelValues[i * step]).toBeCloseTo(value, 5);
    });

    const [{ crop }] = geometry.frames;
    expect(crop.xPx + crop.widthPx / 2).toBeCloseTo(widthPx / 2, -0.5);
    expect(crop.yPx + crop.heightPx / 2).toBeCloseTo(heightPx / 2, -0.5);
    expect(crop.xPx).toBeGreaterThanOrEqual(0);
    expect(crop.yPx).toBeGreaterThanOrEqual(0);
    expect(crop.xPx + crop.widthPx).toBeLessThanOrEqual(widthPx + 1e-9);
    expect(crop.yPx + crop.heightPx).toBeLessThanOrEqual(heightPx + 1e-9);
  });
});
