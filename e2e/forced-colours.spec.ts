import type { Locator, Page } from '@playwright/test';
import { expect, idle, openPage, openWithoutModel, patches, test, token } from './page';

test.beforeEach(async ({ page }) => {
  await page.emulateMedia({ forcedColors: 'active' });
});

/** How an element differs from the page's ground: its painted background and outline. */
const look = (locator: Locator) =>
  locator.evaluate((element) => {
    const { backgroundColor, outlineStyle, outlineColor, outlineWidth } = getComputedStyle(element);
    return {
      backgroundColor,
      outline: outlineStyle === 'none' ? 'none' : `${outlineStyle} ${outlineWidth} ${outlineColor}`,
    };
  });

const system = (page: Page, colour: string) =>
  page.evaluate((name) => {
    const probe = document.body.appendChild(document.createElement('span'));
    probe.style.cssText = `forced-color-adjust: none; color: ${name}`;
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  }, colour);

test('selected, pointed and marked tokens differ from the others', async ({ page }) => {
  await openWithoutModel(page);
  await token(page, 1).click();
  const plain = await look(token(page, 0));
  expect(await look(token(page, 1))).toMatchObject({ backgroundColor: await system(page, 'Highlight') });
  await token(page, 0).hover();
  expect(await look(token(page, 0))).not.toEqual(plain);
  await patches(page).click({ position: { x: 100, y: 100 } });
  await page.getByRole('slider').first().focus();
  for (let step = 0; step < 40; step++) await page.keyboard.press('ArrowLeft');
  const marked = page.locator('.token[data-marked]');
  if ((await marked.count()) > 0) expect((await look(marked.first())).outline).toContain('dashed');
});

test('current view, current example, chosen image and chosen segment are marked without colour', async ({ page }) => {
  await openWithoutModel(page);
  const highlight = await system(page, 'Highlight');
  const underline = await page
    .locator('.page-nav a[aria-current]')
    .evaluate((link) => getComputedStyle(link, '::after').backgroundColor);
  expect(underline).toBe(highlight);
  for (const mark of ['.card[aria-current] img', '.tray-image[aria-pressed="true"] img']) {
    expect((await look(page.locator(mark))).outline, mark).toContain('solid 3px');
  }
  const segment = await page
    .locator('.segment[data-selected]')
    .first()
    .evaluate((element) => getComputedStyle(element, '::after').backgroundColor);
  expect(segment).toBe(highlight);
});

test('slider knobs, tracks and bars have system colours', async ({ page }) => {
  await openPage(page);
  const ink = await system(page, 'CanvasText');
  const knob = (selector: string, part: string) =>
    page
      .locator(selector)
      .first()
      .evaluate((element, pseudo) => getComputedStyle(element, pseudo).backgroundColor, part);
  expect(await knob('.legend-thumb', '::before')).toBe(ink);
  expect(await knob('.legend-thumb', '::after')).toBe(ink);
  expect(await knob('.plain-thumb', '')).toBe(ink);
  expect(await knob('.plain-track', '::before')).toBe(await system(page, 'GrayText'));
  expect(await knob('.token-fill', '')).not.toBe(await system(page, 'Canvas'));
  expect(await knob('.alternative-fill', '')).not.toBe(await system(page, 'Canvas'));
});

test('focus is visible on tokens, patches, buttons and charts', async ({ page }) => {
  await openWithoutModel(page);
  await token(page, 1).click();
  await page.keyboard.press('ArrowRight');
  expect((await look(token(page, 2))).outline).toContain('solid 3px');
  await page.keyboard.press('Tab');
  expect((await look(page.locator(':focus'))).outline).not.toBe('none');
  await page.getByRole('link', { name: 'Trust' }).click();
  await idle(page);
  const chart = page.locator('.chart-ground').first();
  await chart.focus();
  expect(
    await page
      .locator('.bars[data-class="right"]')
      .first()
      .evaluate((bar) => getComputedStyle(bar).fill),
  ).toBe(await system(page, 'CanvasText'));
});

test('in Compare, the selected cell of the strip is outlined', async ({ page }) => {
  await openWithoutModel(page, '/?view=compare');
  await page.locator('.strip-cell').nth(1).click();
  expect((await look(page.locator('.strip-cell').nth(1))).outline).toContain('solid 3px');
  expect((await look(page.locator('.strip-cell').nth(0))).outline).toBe('none');
});
