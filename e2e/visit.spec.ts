import type { Page } from '@playwright/test';
import {
  answerText,
  ask,
  chooseDisk,
  expect,
  idle,
  mapPixels,
  openPage,
  openWithoutModel,
  stageTitle,
  test,
  token,
} from './page';

const cards = (page: Page) => page.getByRole('navigation', { name: 'Examples and previous answers' }).locator('.card');

async function expectAnswer(page: Page, expected: { answer: string; pixels: number[] }): Promise<void> {
  await token(page, 0).click();
  await expect(stageTitle(page)).toContainText('Map of “');
  await expect.poll(() => mapPixels(page)).toEqual(expected.pixels);
  expect(await answerText(page)).toBe(expected.answer);
}

test('answers and their maps are kept when the page is reloaded, left and reached again by Back', async ({ page }) => {
  await openPage(page);
  await chooseDisk(page, 'disk.png', 400, 336);
  await ask(page, 'What color is the sphere?');
  await ask(page, 'Describe the image.');
  await token(page, 0).click();
  await expect(token(page, 0)).toHaveAttribute('aria-selected', 'true');
  const expected = { answer: await answerText(page), pixels: await mapPixels(page) };

  await page.reload();
  await idle(page);
  await expect(page.locator('.answer-question')).toHaveText('Describe the image.');
  await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image: disk.png');
  await expectAnswer(page, expected);
  await expect(cards(page).nth(0)).toContainText('Describe the image.');
  await expect(cards(page).nth(1)).toContainText('What color is the sphere?');

  await page.goto('/gone');
  await page.goBack();
  await idle(page);
  await expectAnswer(page, expected);

  await openPage(page, '/?run=run-2.run');
  await expect(page.locator('.answer > .eyebrow'), 'a link shows what it names').toHaveText('Recorded example');
  await cards(page).nth(0).click();
  await expectAnswer(page, expected);
  await ask(page, 'How many objects are there?');
  await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image: disk.png');
});

test('Back and Forward between views keep the answer', async ({ page }) => {
  await openPage(page);
  await ask(page, 'How many objects are there?');
  const answer = await answerText(page);
  await page.getByRole('link', { name: 'Compare' }).click();
  await expect(page).toHaveURL(/view=compare/);
  await page.getByRole('link', { name: 'Trust' }).click();
  await expect(page).toHaveURL(/view=trust/);
  await page.goBack();
  await expect(page).toHaveURL(/view=compare/);
  await page.goBack();
  await expect(page.locator('.answer-question')).toHaveText('How many objects are there?');
  await page.goForward();
  await page.goBack();
  expect(await answerText(page)).toBe(answer);
});

test('maps computed later are kept too', async ({ page }) => {
  await openPage(page);
  await ask(page, 'How many objects are there?');
  await page.goto('/?view=compare&methods=fastrm,chefer');
  await idle(page);
  await cards(page).nth(0).click();
  await expect(page.locator('[data-panel="chefer"] canvas')).toBeVisible();
  await idle(page);
  await openWithoutModel(page, '/?view=compare&methods=fastrm,chefer');
  await cards(page).nth(0).click();
  await expect(page.locator('[data-panel="chefer"] canvas')).toBeVisible();
});

test.describe('without storage', () => {
  test('the page says that answers are not kept, and the browser asks before leaving', async ({ page }) => {
    await page.addInitScript(() => Object.defineProperty(window, 'indexedDB', { value: undefined }));
    await openPage(page);
    await expect(page.locator('.gallery-note')).toHaveCount(0);
    await ask(page, 'How many objects are there?');
    await expect(page.locator('.gallery-note')).toContainText('One answer is only on this page');
    const asked = page.waitForEvent('dialog');
    const reload = page.reload();
    const dialog = await asked;
    expect(dialog.type()).toBe('beforeunload');
    await dialog.accept();
    await reload;
    await idle(page);
    await expect(page.locator('.answer > .eyebrow')).toHaveText('Recorded example');
  });
});
