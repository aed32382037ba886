import { readFile } from 'node:fs/promises';
import type { Locator, Page } from '@playwright/test';
import { sizes } from './looks';
import { ask, expect, idle, mapPixels, openPage, openWithoutModel, readout, stageTitle, test, token } from './page';
import { twoFramesRun } from './two-frames';

const line = (page: Page): Locator => page.locator('.method-line');
const select = (page: Page): Locator => line(page).getByRole('button', { name: 'Map by' });
const option = (page: Page, name: string): Locator => page.getByRole('option', { name, exact: true });

async function choose(page: Page, name: string): Promise<void> {
  await select(page).click();
  await option(page, name).click();
  await idle(page);
}

test('with a head, FastRM is shown first, and another method is named with its cost, readouts and files', async ({
  page,
}) => {
  await openPage(page);
  await ask(page, 'How many spheres are there?');
  await expect(select(page)).toContainText('FastRM');
  await expect(line(page)).toContainText(/[\d.]+ m?s, in the page/);
  const fastrm = await mapPixels(page);

  await choose(page, 'TAM');
  await expect(select(page)).toContainText('TAM');
  await expect(line(page)).toContainText(/[\d.]+ m?s, in the page/);
  await expect(stageTitle(page)).toContainText('Map of “');
  // No value: it would be 1.00 of the maximum for every word.
  await expect(readout(page)).toHaveText(/^peak at r\d+ c\d+$/);
  await expect(page.locator('.legend-head')).toContainText('0.30 of max');
  await expect(page.locator('.legend-scale')).toContainText('shares of the map’s maximum');
  await expect(page.locator('.marks-note')).toContainText('(TAM)');
  await expect(page.locator('.provenance')).toContainText('TAM, JavaScript');
  expect(await mapPixels(page)).not.toEqual(fastrm);
  await expect(page.locator('.token[data-map="false"]')).toHaveCount(0);

  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'JSON', exact: true }).click();
  const file = await download;
  expect(file.suggestedFilename()).toContain('TAM');
  const saved = JSON.parse(await readFile(await file.path(), 'utf8')) as Record<string, unknown>;
  expect(saved).toMatchObject({ method: 'TAM', unit: 'share of the map’s maximum', threshold: 0.3, backend: 'script' });

  await page.locator('.patch-grid').click({ position: { x: 200, y: 200 } });
  await expect(page.locator('.readout-note')).toContainText(/Words that used|No word reaches 0.30 of max/);
});

test('one click shows the exact map of a word, another goes back, and the address keeps the method', async ({
  page,
}) => {
  await openPage(page);
  await token(page, 0).click();
  await page.getByRole('button', { name: /^Exact map/ }).click();
  await idle(page);
  await expect(select(page)).toContainText('Chefer, exact');
  await expect(page.getByText('The map by Chefer, exact is ready.')).toHaveAttribute('aria-live', 'polite');
  await expect(line(page)).toContainText(/[\d.]+ (ms|s), in the page/);
  expect(page.url()).toContain('method=chefer');
  const first = await mapPixels(page);
  // Only the selected word is explained; another one follows when it is selected.
  await token(page, 2).click();
  await expect.poll(() => mapPixels(page)).not.toEqual(first);
  await idle(page);
  await page.locator('.patch-grid').click({ position: { x: 5, y: 5 } });
  await expect(page.locator('.readout-note')).toContainText(/Only 2 of \d+ tokens have this map/);

  await page.setViewportSize(sizes.phone);
  await expect(page.getByRole('button', { name: 'Back to FastRM', exact: true })).toBeVisible();
  await page.getByRole('button', { name: /^Back/ }).click();
  await expect(page.getByRole('button', { name: 'Exact map of this word', exact: true })).toBeVisible();
  await expect(select(page)).toContainText('FastRM');
  expect(page.url()).not.toContain('method=');
  await page.goto('/?method=tam');
  await idle(page);
  await expect(select(page)).toContainText('TAM');
});

test('a method without a source is disabled with the reason, and frames follow the method', async ({ page }) => {
  await openWithoutModel(page);
  const file = { name: 'colleague.run', mimeType: 'application/octet-stream', buffer: twoFramesRun() };
  await page.locator('input[type="file"]').setInputFiles(file);
  await expect(page.locator('.answer-question')).toHaveText('What is in the middle?');
  await token(page, 0).click();
  await select(page).click();
  for (const name of ['Chefer, exact', 'TAM']) {
    await expect(option(page, name)).toHaveAttribute('aria-disabled', 'true');
    await expect(option(page, name)).toContainText('Not available: ');
  }
  await expect(page.getByRole('button', { name: /^Exact map/ })).toHaveCount(0);
  await option(page, 'Random').click();
  await expect(select(page)).toContainText('Random');
  await expect.poll(() => mapPixels(page)).toHaveLength(12 * 24 * 4);
  await page.getByRole('radiogroup', { name: 'Frame shown' }).getByRole('radio', { name: 'Overview, 6 × 6' }).click();
  await expect.poll(() => mapPixels(page)).toHaveLength(6 * 6 * 4);
  await expect(page.locator('.legend-count')).toContainText('of 36 patches');
});
