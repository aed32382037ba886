import type { Page } from '@playwright/test';
import { answerText, expect, message, openPage, openWithoutModel, test as plain, questionBox } from './page';
import { brokenPng, hugePng } from './pictures';

/** With the answer on screen, which is still there after the test. */
const test = plain.extend<{ hasModel: boolean; kept: undefined }>({
  hasModel: [false, { option: true }],
  kept: [
    async ({ page, hasModel }, use) => {
      await (hasModel ? openPage(page) : openWithoutModel(page));
      const former = await answerText(page);
      await use(undefined);
      expect(await answerText(page), 'the former run is kept').toBe(former);
      await expect(page.locator('canvas.stage-map')).toBeVisible();
    },
    { auto: true },
  ],
});

const choose = (page: Page, name: string, mimeType: string, buffer: Buffer) =>
  page.locator('input[type="file"]').setInputFiles({ name, mimeType, buffer });

test('a file that is no image', async ({ page }) => {
  await choose(page, 'notes.png', 'image/png', Buffer.from('these are notes, not a picture'));
  await expect(message(page)).toContainText(/not a supported image/i);
});

test('a broken image', async ({ page }) => {
  await choose(page, 'broken.png', 'image/png', brokenPng());
  await expect(message(page)).toContainText(/broken|damaged|could not be read|cannot be read|decode/i);
});

test('an image of a hundred megapixels', async ({ page }) => {
  await choose(page, 'huge.png', 'image/png', hugePng());
  await expect(message(page)).toContainText(/12[,. ]?000|108|megapixel/i);
});

test('a file that only pretends to be a run', async ({ page }) => {
  await choose(page, 'colleague.run', 'application/octet-stream', Buffer.from('not a run at all'));
  await expect(message(page)).toContainText('could not be opened');
});

test('an empty question', async ({ page }) => {
  await questionBox(page).fill('   ');
  await questionBox(page).press('Enter');
  await expect(message(page)).toContainText('Type a question');
});

test.describe('that the model has to read', () => {
  test.use({ hasModel: true });

  test('an overlong question, with both numbers', async ({ page }) => {
    await questionBox(page).fill('what color is the large sphere '.repeat(80));
    await questionBox(page).press('Enter');
    await expect(message(page)).toContainText(/has \d+ tokens; the model accepts at most \d+/);
  });

  test('words that the model does not know, by name', async ({ page }) => {
    await questionBox(page).fill('What color is the giraffe on the skateboard?');
    await questionBox(page).press('Enter');
    await expect(message(page)).toContainText('“giraffe”');
    await expect(message(page)).toContainText('“skateboard”');
    await questionBox(page).fill('What color is the large sphere?');
    await expect(message(page)).toBeEmpty();
  });
});
