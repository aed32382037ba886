import { boxOf, expect, mapPixels, openWithoutModel, selectedTokens, stageTitle, test, token, tokens } from './page';

test.beforeEach(async ({ page }) => {
  await openWithoutModel(page);
});

test('arrow keys, Home and End move through the answer, and the map follows', async ({ page }) => {
  const last = (await tokens(page).count()) - 1;
  await token(page, 0).click();
  const first = await mapPixels(page);
  await page.keyboard.press('ArrowRight');
  await expect(token(page, 1)).toBeFocused();
  await expect.poll(() => selectedTokens(page)).toEqual([1]);
  await expect.poll(() => mapPixels(page)).not.toEqual(first);
  await page.keyboard.press('End');
  await expect.poll(() => selectedTokens(page)).toEqual([last]);
  await page.keyboard.press('ArrowRight');
  await expect.poll(() => selectedTokens(page)).toEqual([last]);
  await page.keyboard.press('Home');
  await expect.poll(() => selectedTokens(page)).toEqual([0]);
  await expect.poll(() => mapPixels(page)).toEqual(first);
});

test('the answer is a single tab stop', async ({ page }) => {
  await token(page, 1).click();
  await page.keyboard.press('Tab');
  await expect(page.getByRole('radiogroup', { name: 'What a click selects' }).getByRole('radio').first()).toBeFocused();
  await page.keyboard.press('Shift+Tab');
  await expect(token(page, 1)).toBeFocused();
});

test('Shift-click, Shift with arrows and dragging select several tokens and average their maps', async ({ page }) => {
  await token(page, 1).click();
  const one = await mapPixels(page);
  await token(page, 3).click({ modifiers: ['Shift'] });
  await expect.poll(() => selectedTokens(page)).toEqual([1, 2, 3]);
  await expect(stageTitle(page)).toContainText('Mean map of');
  const mean = await mapPixels(page);
  expect(mean).not.toEqual(one);

  await token(page, 2).click();
  await page.keyboard.press('Shift+ArrowRight');
  await expect.poll(() => selectedTokens(page)).toEqual([2, 3]);
  const inspector = page.locator('.inspector-head');
  await expect(inspector).toContainText('2 tokens');
  await token(page, 0).hover();
  await expect(inspector).toContainText('Token 1 of');
  await page.keyboard.press('Shift+ArrowRight');
  await expect(inspector, 'a pointer left on a token does not hide the selection').toContainText('3 tokens');
  await page.mouse.move(0, 0);

  const from = await boxOf(token(page, 3));
  const to = await boxOf(token(page, 1));
  await page.mouse.move(from.x + from.width / 2, from.y + 10);
  await page.mouse.down();
  await page.mouse.move(to.x + to.width / 2, to.y + 10, { steps: 5 });
  await page.mouse.up();
  await expect.poll(() => selectedTokens(page)).toEqual([1, 2, 3]);
  await expect.poll(() => mapPixels(page)).toEqual(mean);
});

test('Ctrl-click adds and removes single tokens', async ({ page }) => {
  await token(page, 0).click();
  await token(page, 2).click({ modifiers: ['Control'] });
  await expect.poll(() => selectedTokens(page)).toEqual([0, 2]);
  await token(page, 0).click({ modifiers: ['Control'] });
  await expect.poll(() => selectedTokens(page)).toEqual([2]);
});

test('the whole answer can be selected by button and by key', async ({ page }) => {
  const all = await tokens(page).count();
  await page.getByRole('radio', { name: 'Whole answer' }).click();
  await expect.poll(() => selectedTokens(page)).toHaveLength(all);
  await expect(stageTitle(page)).toContainText(`all ${all} maps`);
  await token(page, 0).click();
  await expect.poll(() => selectedTokens(page)).toEqual([0]);
  await page.keyboard.press('Control+a');
  await expect.poll(() => selectedTokens(page)).toHaveLength(all);
});

test('pointing at a token shows its alternatives', async ({ page }) => {
  const inspector = page.locator('.inspector');
  await token(page, 0).click();
  await expect(inspector).toContainText('Token 1 of');
  await token(page, 2).hover();
  await expect(inspector).toContainText('Token 3 of');
  expect(await inspector.getByRole('listitem').count()).toBeGreaterThan(1);
  await expect(inspector.getByRole('listitem').first()).toContainText('%');
  await expect.poll(() => selectedTokens(page)).toEqual([0]);
  await page.getByRole('heading', { level: 1 }).hover();
  await expect(inspector).toContainText('Token 1 of');
});

test('each token’s label includes its probability', async ({ page }) => {
  const labels = await tokens(page).evaluateAll((options) => options.map((option) => option.ariaLabel));
  expect(labels.length).toBeGreaterThan(1);
  for (const label of labels) expect(label).toMatch(/, [<\d.]+ %/);
});
