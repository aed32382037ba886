import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from '@playwright/test';
import { brokenPng, hugePng } from './images';
import { answerText, expect, message, openPage, openWithoutModel, test as plain, questionBox } from './page';

/** Opens the page, and checks after the test that the answer and its map are still on screen. */
const test = plain.extend<{ hasModel: boolean; keepsAnswer: undefined }>({
  hasModel: [false, { option: true }],
  keepsAnswer: [
    async ({ page, hasModel }, use) => {
      await (hasModel ? openPage(page) : openWithoutModel(page));
      const before = await answerText(page);
      await use(undefined);
      expect(await answerText(page), 'the previous answer is kept').toBe(before);
      await expect(page.locator('canvas.stage-map')).toBeVisible();
    },
    { auto: true },
  ],
});

const pictures = path.resolve(import.meta.dirname, '../src/inference/fixtures/pictures');

const choose = (page: Page, name: string, mimeType: string, buffer: Buffer) =>
  page.locator('input[type="file"]').setInputFiles({ name, mimeType, buffer });

test('a file that is not an image is rejected', async ({ page }) => {
  await choose(page, 'notes.png', 'image/png', Buffer.from('these are notes, not a picture'));
  await expect(message(page)).toContainText(/not a supported image/i);
});

test('an image that was cut off is rejected with its size', async ({ page }) => {
  await choose(page, 'broken.png', 'image/png', brokenPng());
  await expect(message(page)).toHaveText(
    /^broken.png is a truncated PNG image: it has 400 of at least \d+ bytes. Download or save it again.$/,
  );
  const webp = readFileSync(path.join(pictures, 'lossless-alpha.webp'));
  await choose(page, 'broken.webp', 'image/webp', webp.subarray(0, 300));
  await expect(message(page)).toHaveText(
    `broken.webp is a truncated WebP image: it has 300 of ${webp.length} bytes. Download or save it again.`,
  );
});

test('an image whose pixels are damaged is rejected', async ({ page }) => {
  const damaged = readFileSync(path.join(pictures, 'rgba.png'));
  damaged.fill(0, 100, 140);
  await choose(page, 'damaged.png', 'image/png', damaged);
  await expect(message(page)).toContainText('damaged.png is a damaged PNG image: it cannot be decoded.');
});

test('an image of 108 megapixels is rejected with its size and the limit', async ({ page }) => {
  await choose(page, 'huge.png', 'image/png', hugePng());
  await expect(message(page)).toHaveText(
    'huge.png has 12000 × 9000 pixels (108 megapixels); the limit is 64 megapixels and 16384 px per side. Make it smaller first.',
  );
});

test('an image of another format is named, with the formats that are accepted', async ({ page }) => {
  await choose(page, 'photo.avif', 'image/avif', Buffer.from('\0\0\0\x1cftypavif\0\0\0\0', 'latin1'));
  await expect(message(page)).toHaveText(
    'photo.avif is not a supported image: it is an AVIF image. Use PNG, JPEG, WebP or GIF.',
  );
});

test('a file that is named like a run but is not one is rejected', async ({ page }) => {
  await choose(page, 'colleague.run', 'application/octet-stream', Buffer.from('not a run at all'));
  await expect(message(page)).toContainText('could not be opened');
});

test('an empty question is rejected', async ({ page }) => {
  await questionBox(page).fill('   ');
  await questionBox(page).press('Enter');
  await expect(message(page)).toContainText('Type a question');
});

test.describe('with the model loaded', () => {
  test.use({ hasModel: true });

  test('an overlong question is rejected with its length and the limit', async ({ page }) => {
    await questionBox(page).fill('what color is the large sphere '.repeat(80));
    await questionBox(page).press('Enter');
    await expect(message(page)).toContainText(/has \d+ tokens; the model accepts at most \d+/);
  });

  test('invisible characters in a question are ignored, and a question of nothing else is empty', async ({ page }) => {
    await questionBox(page).fill('Is the gi\u00adraffe\u200b\ufe0f there?\u200e');
    await questionBox(page).press('Enter');
    await expect(message(page)).toHaveText(/^The model does not know “giraffe”\./);
    await questionBox(page).fill('\u200b\ufeff\u00ad');
    await questionBox(page).press('Enter');
    await expect(message(page)).toHaveText('Type a question, or choose one below.');
  });

  test('words that the model does not know are listed', async ({ page }) => {
    await questionBox(page).fill('What color is the giraffe on the skateboard?');
    await questionBox(page).press('Enter');
    await expect(message(page)).toContainText('“giraffe”');
    await expect(message(page)).toContainText('“skateboard”');
    await questionBox(page).fill('What color is the large sphere?');
    await expect(message(page)).toBeEmpty();
  });
});
