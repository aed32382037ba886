import { axeFaults, expectAccessible, looks, setLook } from './looks';
import { expect, idle, openPage, openWithoutModel, test, token } from './page';

test('an answer and its map are accessible at every size and in both colour schemes', async ({ page }) => {
  await openPage(page);
  for (const details of await page.locator('details > summary').all()) await details.click();
  await token(page, 1).click();
  await page.getByRole('grid').click({ position: { x: 100, y: 100 } });
  await expectAccessible(page);
});

test('so is the comparison, and its list of methods', async ({ page }) => {
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
    await expect(page.getByRole('option', { name: 'TAM', exact: true })).toBeVisible();
    expect.soft(await axeFaults(page), `list of methods, ${size}, ${colorScheme}`).toEqual([]);
    await page.keyboard.press('Escape');
  }
});

test('the theme can be chosen, and is remembered', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await openWithoutModel(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.getByRole('button', { name: 'Theme: Auto' }).click();
  await expect(page.getByRole('button', { name: 'Theme: Dark' })).toBeVisible();
  await expect.poll(ground).not.toBe(light);
  const dark = await ground();
  await page.reload();
  await expect.poll(ground).toBe(dark);
});
