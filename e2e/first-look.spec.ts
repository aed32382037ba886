import {
  expect,
  idle,
  mapPixels,
  openBeforeModel,
  openPage,
  openWithoutModel,
  readout,
  stageTitle,
  test,
  token,
} from './page';

test.describe('on a first visit', () => {
  test.use({ isFresh: true });

  test('an example can be explored while the model loads', async ({ page }) => {
    const releaseModel = await openBeforeModel(page);
    await expect(page.getByRole('progressbar', { name: 'Loading the model' })).toContainText(/of \d+(\.\d)? MB/);
    await expect(page.getByRole('heading', { level: 1 })).toContainText('image patches');

    await token(page, 0).click();
    await expect(token(page, 0)).toHaveAttribute('aria-selected', 'true');
    await expect(stageTitle(page)).toContainText('Map of “');
    await expect(readout(page)).toContainText('peak');
    const first = await mapPixels(page);
    expect(first).toHaveLength(24 * 24 * 4);
    await token(page, 1).click();
    await expect.poll(() => mapPixels(page)).not.toEqual(first);

    releaseModel();
    await idle(page);
    await expect(page.locator('.status')).toContainText('ready');
  });

  test('a start on several threads that hangs is repeated on one thread, which the page says', async ({ page }) => {
    await page.route('**/embedded.worker*.js', async (route) => {
      const response = await route.fetch();
      // The tests' server shows workers a single core: see vite.config.ts.
      await route.fulfill({ response, body: (await response.text()).replace('value: 1', 'value: 2') });
    });
    await page.route('**/ort-wasm-simd-threaded-*.mjs', async (route) => {
      const response = await route.fetch();
      const body = await response.text();
      // Hold the promise that resolves when a thread has loaded.
      const hanging = body.replace(/("loaded"===\w+\)[^;]*),\w+\(\w+\);/, '$1;');
      expect(hanging).not.toBe(body);
      await route.fulfill({ response, body: hanging });
    });
    await page.clock.install();
    await page.goto('/');
    const status = page.locator('.status');
    await expect(status).toContainText('into memory');
    await expect
      .poll(async () => {
        await page.clock.runFor(31_000);
        return status.getAttribute('data-phase');
      })
      .toBe('ready');
    await expect(status).toContainText('WASM, 1 thread');
    await expect(status).toHaveAttribute('title', /stalled/);
  });

  for (const [device, viewport] of [
    ['a desktop', { width: 1280, height: 720 }],
    ['a phone', { width: 390, height: 844 }],
  ] as const) {
    test(`the layout does not shift on ${device} while the example and the model load`, async ({ page }) => {
      await page.setViewportSize(viewport);
      await page.addInitScript(() => {
        const shifts: number[] = [];
        Object.assign(window, { shifts });
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) shifts.push((entry as PerformanceEntry & { value: number }).value);
        }).observe({ type: 'layout-shift', buffered: true });
      });
      await page.goto('/');
      await idle(page);
      const total = await page.evaluate(() =>
        (window as unknown as { shifts: number[] }).shifts.reduce((sum, shift) => sum + shift, 0),
      );
      // Measured total: below 0.01, partly due to late fonts (0.15 before space was reserved for late content).
      expect(total).toBeLessThan(0.02);
    });
  }
});

test('the page says which model answers, what it knows and what it cannot do', async ({ page }) => {
  await openPage(page);
  const manifest = await page.request.get('/models/patchlight-scenes/manifest.json');
  const { name, knows } = (await manifest.json()) as { name: string; knows: string };
  const colophon = page.getByRole('contentinfo');
  await expect(colophon).toContainText('About the model');
  await expect(colophon).toContainText(name);
  await expect(colophon).toContainText(knows);
  await expect(colophon).toContainText('It does not understand photographs');
});

test('another example opens, and reloading its address opens it again', async ({ page }) => {
  await openWithoutModel(page);
  const cards = page.getByRole('navigation').getByRole('button');
  const title = await cards.nth(1).locator('.card-title').innerText();
  await cards.nth(1).click();
  await expect(page.locator('.answer-question')).toHaveText(title);
  await expect(page).toHaveURL(/run=/);
  await page.reload();
  await expect(page.locator('.answer-question')).toHaveText(title);
});

test.describe('when the model cannot be loaded', () => {
  test.use({ allowedErrors: /Failed to load resource/, isFresh: true });

  test('the page says so, the example still works, and Try again loads the model', async ({ page }) => {
    await page.route('**/models/**/*.onnx*', (route) => route.fulfill({ status: 503, body: 'later' }));
    await page.goto('/');
    const status = page.locator('.status');
    await expect(status).toContainText('could not be loaded');
    await token(page, 1).click();
    await expect(stageTitle(page)).toContainText('Map of “');
    await page.unroute('**/models/**/*.onnx*');
    await page.getByRole('button', { name: 'Try again' }).click();
    await idle(page);
    await expect(status).toContainText('ready');
  });
});
