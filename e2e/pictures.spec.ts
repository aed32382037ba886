// The image on the stage is the one that the model reads: flattened, upright and still.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from '@playwright/test';
import { ask, boxOf, expect, message, openPage, openWithoutModel, patches, test } from './page';

const folder = path.resolve(import.meta.dirname, '../src/inference/fixtures/pictures');
const pixels: Record<string, { widthPx: number; heightPx: number; rgb: string }> = JSON.parse(
  readFileSync(path.join(folder, 'pixels.json'), 'utf8'),
);

const choose = (page: Page, name: string) => page.locator('input[type="file"]').setInputFiles(path.join(folder, name));

/** Draws an image element of the page at its own size, and returns its pixels as RGB in Base64. */
function shownPixels(page: Page, selector: string): Promise<string> {
  return page.locator(selector).evaluate(async (element) => {
    const image = element as HTMLImageElement;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext('2d')!;
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    return btoa(String.fromCharCode(...data.filter((_, i) => i % 4 < 3)));
  });
}

/** Keeps the blobs that the page makes URLs of: its security policy does not let scripts fetch them. */
async function keepBlobs(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const blobs = new Map<string, Blob>();
    const create = URL.createObjectURL.bind(URL);
    URL.createObjectURL = (blob: Blob) => {
      const url = create(blob);
      blobs.set(url, blob);
      return url;
    };
    Object.assign(window, { blobs });
  });
}

/** Number of frames in the file that an image element shows. */
function shownFrames(page: Page, selector: string): Promise<number> {
  return page.locator(selector).evaluate(async (element) => {
    const { blobs } = window as unknown as { blobs: Map<string, Blob> };
    const blob = blobs.get((element as HTMLImageElement).src)!;
    const decoder = new ImageDecoder({ data: await blob.arrayBuffer(), type: blob.type });
    await decoder.tracks.ready;
    return decoder.tracks.selectedTrack?.frameCount ?? 0;
  });
}

test.describe('in the dark theme', () => {
  test.use({ isFresh: true });

  test('a transparent image is shown on white, as it is read, before and after the question', async ({ page }) => {
    await page.emulateMedia({ colorScheme: 'dark' });
    await openPage(page);
    await choose(page, 'rgba.png');
    await expect(page.locator('.readout-title')).toHaveText('rgba.png');
    expect(await shownPixels(page, '.stage-still')).toBe(pixels['rgba.png']?.rgb);
    await ask(page, 'What color is the sphere?');
    await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image: rgba.png');
    expect(await shownPixels(page, '.stage-image')).toBe(pixels['rgba.png']?.rgb);
    expect(await shownPixels(page, '.tray-image[aria-pressed="true"] img')).toBe(pixels['rgba.png']?.rgb);
  });
});

for (const name of ['animated.gif', 'animated.webp', 'animated.png', 'animated-default.png']) {
  test(`an animation stands still at the frame that is read: ${name}`, async ({ page }) => {
    await keepBlobs(page);
    await openWithoutModel(page);
    await choose(page, name);
    await expect(page.locator('.readout-title')).toHaveText(name);
    expect(await shownFrames(page, '.stage-still')).toBe(1);
    expect(await shownPixels(page, '.stage-still')).toBe(pixels[name]?.rgb);
  });
}

test('a WebP with EXIF orientation is shown and read upright', async ({ page }) => {
  await openPage(page);
  await choose(page, 'orientation-6.webp');
  await expect(page.locator('.readout-numbers')).toHaveText('9 × 13 px');
  await ask(page, 'What color is the sphere?');
  expect(await shownPixels(page, '.stage-image')).toBe(pixels['orientation-6.webp']?.rgb);
  const image = await boxOf(page.locator('.stage-image'));
  const map = await boxOf(patches(page));
  expect(image.width / image.height).toBeCloseTo(9 / 13, 1);
  expect(map.width, 'the map is as wide as the image').toBeCloseTo(image.width, 0);
});

test('of several files that are dropped or pasted, none is opened, and the page says so', async ({ page }) => {
  await openWithoutModel(page);
  for (const kind of ['drop', 'paste'] as const) {
    await page.evaluate((type) => {
      const data = new DataTransfer();
      for (let i = 0; i < 30; i++) data.items.add(new File(['x'], `${i}.png`, { type: 'image/png' }));
      const options = { bubbles: true, cancelable: true };
      const event =
        type === 'drop'
          ? new DragEvent('drop', { ...options, dataTransfer: data })
          : new ClipboardEvent('paste', { ...options, clipboardData: data });
      document.body.dispatchEvent(event);
    }, kind);
    await expect(message(page)).toHaveText(
      '30 files came at once, and none was opened. Drop or paste one image or run file at a time.',
    );
  }
  await expect(page.locator('.answer > .eyebrow')).toHaveText('Recorded example');
});
