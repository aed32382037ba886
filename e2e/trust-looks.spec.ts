import type { Page } from '@playwright/test';
import { expect, idle, openPage, test } from './page';

// npx playwright test trust-looks --update-snapshots rewrites the goldens. Statistics are seeded: the same each time.
const sizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

const scrollTo = (page: Page, selector: string) =>
  page.locator(selector).evaluate((element) => element.scrollIntoView({ block: 'start' }));

const views: Record<string, { readonly path: string; arrange(page: Page): Promise<void> }> = {
  trust: { path: '/?view=trust', arrange: async () => {} },
  'trust-brushed': {
    path: '/?view=trust',
    arrange: async (page) => {
      await page.locator('[data-chart="entropy"]').getByRole('slider', { name: /^Read/ }).focus();
      for (const key of ['End', 'PageDown', 'Enter']) await page.keyboard.press(key);
      await page
        .locator('[data-chart="entropy"]')
        .getByRole('slider', { name: /, from$/ })
        .focus();
      await page.keyboard.press('PageDown');
      await page.getByRole('checkbox', { name: /^vqa-like/ }).click();
      await scrollTo(page, '#linked-title');
      await page.mouse.move(0, 0);
      await idle(page);
      await expect(page.locator('.samples-row').first()).toBeVisible();
    },
  },
  'trust-evidence': {
    path: '/',
    arrange: async (page) => {
      await page.getByRole('button', { name: 'Show the evidence' }).click();
      await idle(page);
      await scrollTo(page, '.trust-panel');
      await page.mouse.move(0, 0);
    },
  },
};

for (const [view, { path, arrange }] of Object.entries(views)) {
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const colorScheme of ['light', 'dark'] as const) {
      test(`${view}, ${size}, ${colorScheme}`, async ({ page }) => {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        await openPage(page, path);
        await arrange(page);
        await page.evaluate(() => {
          for (const element of document.querySelectorAll('[data-volatile]')) element.textContent = '0 ms';
        });
        await expect(page).toHaveScreenshot(`${view}-${size}-${colorScheme}.png`);
      });
    }
  }
}
