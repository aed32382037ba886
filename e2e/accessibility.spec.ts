import AxeBuilder from '@axe-core/playwright';
import { expect, idle, openPage, test, token } from './page';

const sizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

for (const [size, viewport] of Object.entries(sizes)) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`axe finds nothing: ${size}, ${colorScheme}`, async ({ page }) => {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await openPage(page);
      for (const details of await page.locator('details > summary').all()) await details.click();
      await token(page, 1).click();
      await page.getByRole('grid').click({ position: { x: 100, y: 100 } });
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`)).toEqual([]);
    });
  }
}

for (const [size, viewport] of Object.entries(sizes)) {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`axe finds nothing in the comparison: ${size}, ${colorScheme}`, async ({ page }) => {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      await openPage(page, '/?view=compare&methods=fastrm,rollout,dex-ar');
      for (const details of await page.locator('details > summary').all()) await details.click();
      await token(page, 1).click();
      await page
        .getByRole('grid')
        .first()
        .click({ position: { x: 100, y: 100 } });
      await idle(page);
      const axe = () => new AxeBuilder({ page }).analyze();
      const faultsOf = ({ violations }: Awaited<ReturnType<typeof axe>>) =>
        violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`);
      expect(faultsOf(await axe())).toEqual([]);
      await page.getByRole('button', { name: /Method of panel 1/ }).click();
      await expect(page.getByRole('option', { name: 'TAM', exact: true })).toBeVisible();
      expect(faultsOf(await axe())).toEqual([]);
    });
  }
}

for (const path of ['/', '/?view=compare&methods=fastrm,rollout,dex-ar,tam']) {
  test(`the page does not scroll sideways on a phone: ${path}`, async ({ page }) => {
    await page.setViewportSize({ width: 320, height: 640 });
    await openPage(page, path);
    const overflowPx = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflowPx).toBeLessThanOrEqual(0);
  });
}

test('the theme can be chosen, and is remembered', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await openPage(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.getByRole('button', { name: 'Theme: Auto' }).click();
  await expect(page.getByRole('button', { name: 'Theme: Dark' })).toBeVisible();
  await expect.poll(ground).not.toBe(light);
  const dark = await ground();
  await page.reload();
  await expect.poll(ground).toBe(dark);
});
