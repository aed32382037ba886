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

const choose = (page: Page, name: string, mimeType: string, buffer: Buffer) =>
  page.locator('input[type="file"]').setInputFiles({ name, mimeType, buffer });

test('a file that is not an image is rejected', async ({ page }) => {
  await choose(page, 'notes.png', 'image/png', Buffer.from('these are notes, not a picture'));
  await expect(message(page)).toContainText(/not a supported image/i);
});

test('a broken image is rejected', async ({ page }) => {
  await choose(page, 'broken.png', 'image/png', brokenPng());
  await expect(message(page)).toContainText(/broken|damaged|could not be read|cannot be read|decode/i);
});

test('an image of 108 megapixels is rejected', async ({ page }) => {
  await choose(page, 'huge.png', 'image/png', hugePng());
  await expect(message(page)).toContainText(/12[,. ]?000|108|megapixel/i);
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

  test('words that the model does not know are listed', async ({ page }) => {
    await questionBox(page).fill('What color is the giraffe on the skateboard?');
    await questionBox(page).press('Enter');
    await expect(message(page)).toContainText('“giraffe”');
    await expect(message(page)).toContainText('“skateboard”');
    await questionBox(page).fill('What color is the large sphere?');
    await expect(message(page)).toBeEmpty();
  });
});
