import {
  answerText,
  ask,
  expect,
  mapPixels,
  openPage,
  openWithoutModel,
  selectedTokens,
  test,
  token,
  tokens,
} from './page';

test('the address keeps the selected tokens, counted from 1, and restores them', async ({ page }) => {
  await openWithoutModel(page);
  await expect(page).not.toHaveURL(/tokens=/);
  await token(page, 1).click();
  await expect(page).toHaveURL(/tokens=2$/);
  await token(page, 3).click({ modifiers: ['Shift'] });
  await expect(page).toHaveURL(/tokens=2-4$/);
  const mean = await mapPixels(page);
  await page.reload();
  await expect.poll(() => selectedTokens(page)).toEqual([1, 2, 3]);
  await expect.poll(() => mapPixels(page)).toEqual(mean);

  await page.getByRole('radio', { name: 'Whole answer' }).click();
  await expect(page).toHaveURL(/tokens=all$/);
  const count = await tokens(page).count();
  await page.reload();
  await expect.poll(() => selectedTokens(page)).toHaveLength(count);
});

test('tokens in the address that the answer does not have are ignored', async ({ page }) => {
  await openWithoutModel(page);
  const initial = await selectedTokens(page);
  await openWithoutModel(page, '/?tokens=3-4000');
  await expect.poll(() => selectedTokens(page)).toEqual(initial);
  await expect(page).not.toHaveURL(/tokens=/);
});

test('the selection does not carry over to another example or to a new answer', async ({ page }) => {
  await openPage(page, '/?tokens=2');
  await expect.poll(() => selectedTokens(page)).toEqual([1]);
  const first = await answerText(page);
  await page.getByRole('navigation').getByRole('button').nth(1).click();
  await expect(page).toHaveURL(/run=/);
  await expect(page).not.toHaveURL(/tokens=/);
  expect(await answerText(page)).not.toBe(first);
  await token(page, 2).click();
  await expect(page).toHaveURL(/tokens=3/);
  await ask(page, 'How many objects are there?');
  await expect(page).not.toHaveURL(/tokens=/);
  await token(page, 1).click();
  await expect.poll(() => selectedTokens(page)).toEqual([1]);
  await expect(page).not.toHaveURL(/tokens=/);
});
