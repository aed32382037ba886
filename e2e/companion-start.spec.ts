import type { Page } from '@playwright/test';
import { type Companion, otherModelFolder, startCompanion } from './companion';
import { expectAccessible, sizes } from './looks';
import { boxOf, chooseDisk, expect, idle, openPage, test as plain, questionBox, tokens } from './page';
import { shot, withGoldens } from './shot';

// One worker, which starts the companion once.
plain.describe.configure({ mode: 'default' });

/** The page of a companion whose model has no head and accepts any question. */
const test = plain.extend<object, { companion: Companion }>({
  companion: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright requires this form
    async ({}, use) => {
      const companion = await startCompanion({ model: otherModelFolder() });
      await use(companion);
      await companion.kill();
    },
    { scope: 'worker', timeout: 240_000 },
  ],
  baseURL: async ({ companion }, use) => use(companion.origin),
  entry: async ({ companion }, use) => use(companion.address),
});

test.use({ isFresh: true });

const photographs = (page: Page) => page.getByRole('group', { name: 'Image to ask about' }).getByRole('button');
const suggestions = (page: Page) => page.getByRole('list', { name: 'Suggested questions' }).getByRole('button');
const stage = (page: Page) => page.locator('.explain-figure');

test('the first screen names the model and offers photographs with questions', async ({ page, companion }) => {
  const paths: string[] = [];
  page.on('request', (request) => paths.push(new URL(request.url()).pathname));
  await openPage(page, companion.address);
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('tiny-vision-model');
  await expect(page.locator('.start-facts')).toHaveText('LLaVA-1.5 · float32 · cpu');
  await expect(page.locator('main')).not.toContainText(/recorded|rendered/i);
  await expect(page.getByRole('navigation', { name: /answers/ })).toHaveCount(0);

  await expect(photographs(page)).toHaveCount(6);
  for (const photograph of await photographs(page).getByRole('img').all()) {
    await expect(photograph).toHaveAttribute('alt', /\w+ \w+ \w+/);
    expect(await photograph.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
  }
  await expect(photographs(page).first()).toHaveAttribute('aria-pressed', 'true');
  await expect(stage(page).getByRole('img', { name: 'A kingfisher' })).toBeVisible();
  await expect(stage(page)).toContainText('Photograph by Frank-2.0, CC0 1.0.');
  expect(paths.filter((path) => /\.(run|png|onnx)$/.test(path))).toEqual([]);

  const { y, height } = await boxOf(suggestions(page).last());
  expect(y + height).toBeLessThan(sizes.desktop.height);
  await page.setViewportSize(sizes.phone);
  const box = await boxOf(questionBox(page));
  expect(box.y + box.height).toBeLessThan(sizes.phone.height);
});

test('a photograph chosen by keyboard is asked about with a suggestion, and the answer is kept', async ({
  page,
  companion,
}) => {
  await openPage(page, companion.address);
  await photographs(page).first().focus();
  for (let i = 0; i < 5; i++) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await expect(stage(page).locator('.readout-title')).toHaveText('Machu Picchu');
  await expect(photographs(page).nth(5)).toHaveAttribute('aria-pressed', 'true');
  await suggestions(page).filter({ hasText: 'Describe the image.' }).focus();
  await page.keyboard.press('Enter');
  await expect(questionBox(page)).toHaveValue('Describe the image.');
  await expect(page.locator('.answer-question')).toHaveText('Describe the image.');
  await idle(page);
  await expect(page.locator('.answer > .eyebrow')).toHaveText('Answer');
  const count = await tokens(page).count();
  expect(count).toBeGreaterThan(1);
  await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image: machu-picchu.jpg');
  await expect(page.getByRole('navigation', { name: 'Previous answers' }).locator('.card')).toHaveCount(1);

  await page.reload();
  await idle(page);
  await expect(page.locator('.answer-question')).toHaveText('Describe the image.');
  await expect(tokens(page)).toHaveCount(count);
  await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image: machu-picchu.jpg');
});

test('your own image replaces the photograph, even if it has the name of another one, and typing keeps the focus while the answer arrives', async ({
  page,
  companion,
}) => {
  await openPage(page, companion.address);
  await chooseDisk(page, 'coffee.jpg', 400, 336);
  await expect(stage(page).locator('.readout-title')).toHaveText('coffee.jpg');
  await expect(stage(page)).not.toContainText('Photograph by');
  await expect(suggestions(page).filter({ hasText: 'saucer' })).toHaveCount(0);
  await expect(photographs(page)).toHaveCount(7);
  await questionBox(page).fill('How many objects are there?');
  await questionBox(page).press('Enter');
  await idle(page);
  await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image: coffee.jpg');
  await expect(questionBox(page)).toBeFocused();
});

test('a link to a recorded run opens that run', async ({ page, companion }) => {
  await openPage(page, `${companion.address}?run=run-2.run`);
  await expect(page.locator('.answer > .eyebrow')).toHaveText('Recorded example');
});

test.describe('without a connection', () => {
  test.use({ allowedErrors: /Failed to load resource|net::ERR/ });

  test('the page says so, and a question connects and is asked about the first photograph', async ({
    page,
    companion,
  }) => {
    await page.route('**/v1/health', (route) => route.abort());
    await openPage(page, companion.address);
    await expect(page.getByRole('heading', { level: 1 })).toHaveText('Not connected');
    await expect(photographs(page)).toHaveCount(0);
    await page.unroute('**/v1/health');
    await questionBox(page).fill('Describe the image.');
    await questionBox(page).press('Enter');
    await expect(page.locator('.answer-question')).toHaveText('Describe the image.');
    await idle(page);
    await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image: kingfisher.jpg');
  });
});

test('the first screen is accessible and looks as expected', withGoldens, async ({ page, companion }) => {
  await openPage(page, companion.address);
  await expectAccessible(page);
  await shot(page, 'companion-start', ['desktop', 'light'], { region: page.locator('.start-lead') });
  await shot(page, 'companion-start', ['phone', 'dark'], { region: page.locator('.tray') });
});
