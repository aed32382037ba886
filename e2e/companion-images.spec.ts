import { readFile } from 'node:fs/promises';
import type { Locator, Page } from '@playwright/test';
import { type Companion, startCompanion, tinyFolder } from './companion';
import { diskPng } from './images';
import { expectAccessible } from './looks';
import { ask, expect, idle, message, openPage, test as plain, stageTitle, token, tokens } from './page';

/** Tests the page of a companion whose model reads several images; its weights are random. */
const test = plain.extend<object, { companion: Companion }>({
  companion: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright requires this form
    async ({}, use) => {
      const limits = ['--max-new-tokens', '5', '--max-images', '3'];
      const companion = await startCompanion({ model: tinyFolder('qwen2.5-vl'), arguments: limits });
      await use(companion);
      await companion.kill();
    },
    { scope: 'worker', timeout: 240_000 },
  ],
  baseURL: async ({ companion }, use) => use(companion.origin),
  isFresh: true,
});

const chosen = (page: Page): Locator => page.getByRole('list', { name: 'Images of the question' });
const add = (page: Page): Locator => page.getByRole('button', { name: 'Add another image' });
const shown = (page: Page): Locator => page.getByRole('group', { name: 'Image shown' });
const shownImage = (page: Page): Locator => shown(page).locator('[aria-pressed="true"]');

const pictures = {
  'red.png': diskPng(160, 90, [200, 40, 30]),
  'blue.png': diskPng(90, 140, [40, 60, 200]),
  'green.png': diskPng(120, 120, [30, 150, 60]),
};

const fileOf = (name: keyof typeof pictures) => ({ name, mimeType: 'image/png', buffer: pictures[name] });

async function choose(page: Page, name: keyof typeof pictures): Promise<void> {
  await page.locator('.ask input[type="file"]').setInputFiles(fileOf(name));
  await idle(page);
}

interface SavedMap {
  readonly image: string;
  readonly imageIndex: number;
  readonly values: readonly (readonly number[])[];
}

async function savedMap(page: Page): Promise<SavedMap> {
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'JSON', exact: true }).click();
  return JSON.parse(await readFile(await (await download).path(), 'utf8')) as SavedMap;
}

const peakOf = ({ values }: SavedMap) => Math.max(...values.flat());

/** Asks about red.png and blue.png. */
async function askAboutTwo(page: Page, companion: Companion): Promise<void> {
  await openPage(page, companion.address);
  await choose(page, 'red.png');
  await add(page).click();
  await choose(page, 'blue.png');
  await ask(page, 'What is different?');
}

test('images are added one by one, removed, and replaced by one that is not added', async ({ page, companion }) => {
  await openPage(page, companion.address);
  await choose(page, 'red.png');
  await expect(chosen(page), 'one image is not listed').toHaveCount(0);
  await add(page).click();
  await expect(add(page)).toHaveAttribute('aria-pressed', 'true');
  await choose(page, 'blue.png');
  await expect(add(page)).toHaveAttribute('aria-pressed', 'false');
  await add(page).click();
  await choose(page, 'green.png');
  await expect(chosen(page).getByRole('img')).toHaveCount(3);
  await expect(add(page), 'the companion accepts three').toBeDisabled();
  await expectAccessible(page, '.ask');
  await page.setViewportSize({ width: 1440, height: 900 });

  await chosen(page).getByRole('button', { name: 'Remove image 1, red.png' }).click();
  const names = () =>
    chosen(page)
      .getByRole('img')
      .evaluateAll((images) => images.map((image) => image.getAttribute('alt')));
  expect(await names()).toEqual(['blue.png', 'green.png']);
  await choose(page, 'red.png');
  await expect(chosen(page)).toHaveCount(0);
  await expect(stageTitle(page)).toHaveText('red.png');
});

test('several files that are pasted at once are asked about together', async ({ page, companion }) => {
  await openPage(page, companion.address);
  const files = (['red.png', 'blue.png'] as const).map((name) => [name, pictures[name].toString('base64')] as const);
  await page.evaluate(async (encoded) => {
    const transfer = new DataTransfer();
    for (const [name, content] of encoded) {
      const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
      transfer.items.add(new File([bytes], name, { type: 'image/png' }));
    }
    window.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer }));
  }, files);
  await expect(chosen(page).getByRole('img')).toHaveCount(2);
  await expect(message(page)).toHaveText('');
});

test('the image on which a map peaks is shown, and the other one after a switch', async ({ page, companion }) => {
  await askAboutTwo(page, companion);
  await expect(shown(page).getByRole('button')).toHaveCount(2);
  for (const index of [0, 2]) {
    await token(page, index).click();
    await idle(page);
    const saved = await savedMap(page);
    expect(peakOf(saved), 'a share of the largest value on both images').toBe(1);
    await expect(shownImage(page)).toHaveText(`Image ${saved.imageIndex + 1}`);
    await expect(page.locator('.stage-image')).toHaveAttribute(
      'alt',
      `Image ${saved.imageIndex + 1}: ${['red.png', 'blue.png'][saved.imageIndex]}`,
    );
  }
  const peak = await savedMap(page);
  const other = 1 - peak.imageIndex;
  await shown(page)
    .getByRole('button', { name: `Image ${other + 1}` })
    .focus();
  await page.keyboard.press('Enter');
  await expect(shownImage(page)).toHaveText(`Image ${other + 1}`);
  const switched = await savedMap(page);
  expect(switched.imageIndex).toBe(other);
  expect(peakOf(switched)).toBeLessThan(1);
  const size = other === 0 ? { width: '160', height: '90' } : { width: '90', height: '140' };
  await expect(page.locator('.stage-image')).toHaveAttribute('width', size.width);
  await expect(page.locator('.stage-image')).toHaveAttribute('height', size.height);

  await token(page, 0).click();
  await expect(shownImage(page), 'the switch holds for other words').toHaveText(`Image ${other + 1}`);
  await page.getByRole('button', { name: 'Follow the map' }).click();
  expect(peakOf(await savedMap(page))).toBe(1);
  await expectAccessible(page);
});

test('a reload keeps both images, and Chefer explains the answer over both', async ({ page, companion }) => {
  await askAboutTwo(page, companion);
  const texts = await tokens(page).allTextContents();
  await page.reload();
  await idle(page);
  expect(await tokens(page).allTextContents()).toEqual(texts);
  await expect(shown(page).getByRole('button')).toHaveCount(2);
  const sizes = shown(page)
    .getByRole('button')
    .locator('img')
    .evaluateAll((images) => images.map((image) => (image as HTMLImageElement).naturalWidth));
  expect(await sizes).toEqual([160, 90]);

  await token(page, 1).click();
  await page.getByRole('button', { name: /^Exact map/ }).click();
  await idle(page);
  await expect(page.locator('.method-line')).toContainText('Chefer, exact');
  expect(peakOf(await savedMap(page))).toBe(1);
  await expect(page.locator('.readout-note [role="alert"]')).toHaveCount(0);
});
