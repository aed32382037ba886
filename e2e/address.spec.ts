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

test('picked tokens stand in the address, counted from 1, and are picked again from it', async ({ page }) => {
  await openWithoutModel(page);
  await expect(page).not.toHaveURL(/tokens=/);
  await token(page, 1).click();
  await expect(page).toHaveURL(/tokens=2$/);
  await token(page, 3).click({ modifiers: ['Shift'] });
  await expect(page).toHaveURL(/tokens=2-4$/);
  const mean = await mapPixels(page);
  await page.reload();
  await expect.poll(() => selectedTokens(page)).toEqual([1, 2, 3]);
  expect(await mapPixels(page)).toEqual(mean);

  await page.getByRole('radio', { name: 'Whole answer' }).click();
  await expect(page).toHaveURL(/tokens=all$/);
  const count = await tokens(page).count();
  await page.reload();
  await expect.poll(() => selectedTokens(page)).toHaveLength(count);
});

test('tokens that the answer does not have are ignored', async ({ page }) => {
  await openWithoutModel(page);
  const opened = await selectedTokens(page);
  await openWithoutModel(page, '/?tokens=3-4000');
  expect(await selectedTokens(page)).toEqual(opened);
  await expect(page).not.toHaveURL(/tokens=/);
});

test('tokens of another example and of an answer of one’s own do not get mixed up', async ({ page }) => {
  await openPage(page, '/?tokens=2');
  expect(await selectedTokens(page)).toEqual([1]);
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
  expect(await selectedTokens(page)).toEqual([1]);
  await expect(page).not.toHaveURL(/tokens=/);
});
