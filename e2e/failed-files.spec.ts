import { expect, idle, openWithoutModel, test, tokens } from './page';

test.use({ allowedErrors: /Failed to load resource/, isFresh: true });

for (const [view, part] of [
  ['Compare', '.panels'],
  ['Trust', '.samples-table'],
] as const) {
  test(`the stylesheet of ${view} can be requested again after a failure`, async ({ page }) => {
    await page.route(`**/${view.toLowerCase()}-view-*.css`, (route) => route.abort(), { times: 2 });
    await openWithoutModel(page);
    await page.getByRole('link', { name: view }).click();
    const alert = page.getByRole('main').getByRole('alert');
    await expect(alert).toContainText('could not be loaded');
    await expect(page.locator(part), 'nothing is shown without its style').toHaveCount(0);
    const retry = alert.getByRole('button', { name: 'Try again' });
    await retry.click();
    await expect(alert, 'it fails a second time').toContainText('could not be loaded');
    await retry.click();
    await expect(page.locator(part)).toHaveCSS('display', view === 'Compare' ? 'grid' : 'block');
    await idle(page);
    const overflowPx = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(overflowPx).toBeLessThanOrEqual(0);
  });
}

test('the script of a view can be requested again after a failure', async ({ page }) => {
  // The page preloads the script and imports it, which may be one request or two.
  const script = '**/compare-view-*.js';
  await page.route(script, (route) => route.abort());
  await openWithoutModel(page);
  await page.getByRole('link', { name: 'Compare' }).click();
  const retry = page.getByRole('main').getByRole('button', { name: 'Try again' });
  await expect(retry).toBeVisible();
  await page.unroute(script);
  await retry.click();
  await expect(page.locator('.panels')).toHaveCSS('display', 'grid');
});

test('the page’s own stylesheet is requested again after a failure', async ({ page }) => {
  await page.route('**/assets/index-*.css', (route) => route.abort(), { times: 1 });
  await openWithoutModel(page);
  await expect(page.locator('.masthead-bar')).toHaveCSS('display', 'flex');
});

test('a recorded example whose request failed can be read again', async ({ page }) => {
  // The query itself tries twice.
  await page.route('**/samples/run-1.run', (route) => route.abort(), { times: 2 });
  await page.goto('/');
  const answer = page.getByRole('region', { name: 'Answer' });
  await expect(answer).toContainText('The recorded example could not be read');
  await answer.getByRole('button', { name: 'Try again' }).click();
  await expect(tokens(page).first()).toBeVisible();
});
