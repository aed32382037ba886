import { axeViolations, expectAccessible, looks, setLook } from './looks';
import { expect, idle, openPage, openWithoutModel, test, token } from './page';

test('the answer and its map are accessible at every size and in both colour schemes', async ({ page }) => {
  await openPage(page);
  for (const details of await page.locator('details > summary').all()) await details.click();
  await token(page, 1).click();
  await page.getByRole('grid').click({ position: { x: 100, y: 100 } });
  await expectAccessible(page);
});

test('the comparison and its list of methods are accessible', async ({ page }) => {
  await openPage(page, '/?view=compare&methods=fastrm,rollout,dex-ar,tam');
  for (const details of await page.locator('details > summary').all()) await details.click();
  await token(page, 1).click();
  await page
    .getByRole('grid')
    .first()
    .click({ position: { x: 100, y: 100 } });
  await idle(page);
  await expectAccessible(page);
  for (const [size, colorScheme] of looks) {
    await setLook(page, size, colorScheme);
    await page.getByRole('button', { name: /Method of panel 1/ }).click();
    const list = page.getByRole('listbox', { name: /Method of panel 1/ });
    await expect(list.getByRole('option', { name: 'TAM', exact: true })).toBeVisible();
    expect
      .soft(
        await axeViolations(page, { isColorOnly: colorScheme === 'dark' }),
        `list of methods, ${size}, ${colorScheme}`,
      )
      .toEqual([]);
    await page.keyboard.press('Escape');
    await expect(list).toHaveCount(0);
  }
});

test('the chosen theme is kept after a reload', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await openWithoutModel(page);
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await background();
  await page.getByRole('button', { name: 'Theme: Auto' }).click();
  await expect(page.getByRole('button', { name: 'Theme: Dark' })).toBeVisible();
  await expect.poll(background).not.toBe(light);
  const dark = await background();
  await page.reload();
  await expect.poll(background).toBe(dark);
});
