import { expect, type Locator, type Page, test as plain } from '@playwright/test';
import { createSharedContexts, type SharedContexts } from './shared-context';

/** Loading the model takes 2 s on an idle machine. */
const idleTimeoutMs = 90_000;

interface Options {
  /** Console errors that the test itself brings about. */
  tolerated: RegExp | undefined;
  /** With its own browser context: for tests that count on an empty cache, or emulate another device. */
  isFresh: boolean;
  /** Where a visitor enters. */
  entry: string;
}

/** Every test fails on an error in the console and on a request that leaves the page's own origin. */
export const test = plain.extend<Options, { compiled: readonly string[]; shared: SharedContexts }>({
  tolerated: [undefined, { option: true }],
  isFresh: [false, { option: true }],
  entry: ['/', { option: true }],
  compiled: [['ort-wasm-simd-threaded'], { option: true, scope: 'worker' }],
  shared: [
    async ({ browser, compiled }, use) => {
      const shared = createSharedContexts(browser, compiled);
      await use(shared);
      await shared.destroy();
    },
    { scope: 'worker' },
  ],
  context: async ({ browser, shared, isFresh, entry, baseURL }, use) => {
    if (baseURL === undefined) throw new Error('no baseURL');
    if (isFresh) {
      const context = await browser.newContext();
      await use(context);
      await context.close();
    } else {
      await use(await shared.get(baseURL, entry));
      await shared.reset(baseURL);
    }
  },
  page: async ({ context, baseURL, tolerated, viewport }, use) => {
    const page = await context.newPage();
    if (viewport) await page.setViewportSize(viewport);
    const faults: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error' && !tolerated?.test(message.text())) faults.push(message.text());
    });
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${baseURL}`) && !/^(blob|data):/.test(url)) faults.push(`a request left the page: ${url}`);
    });
    await use(page);
    await page.unrouteAll({ behavior: 'ignoreErrors' });
    await page.close();
    expect(faults).toEqual([]);
  },
});

export { expect };

/** Opens the page and waits until nothing is under way: the example read, the model loaded, the fonts there. */
export async function openPage(page: Page, path = '/'): Promise<void> {
  await page.goto(path);
  await idle(page);
}

const withoutModel = new WeakSet<Page>();

/**
 * Opens the page with its model held back for good, and waits for everything else: reading and exploring an answer
 * needs no model, and a model takes most of the time that a page takes to load.
 */
export async function openWithoutModel(page: Page, path = '/'): Promise<void> {
  if (!withoutModel.has(page)) await page.route('**/embedded.worker*.js', () => {});
  withoutModel.add(page);
  await openPage(page, path);
}

/** Opens the page with the example read and the model held back, until the function that it gives is called. */
export async function openBeforeModel(page: Page): Promise<() => void> {
  let letModelThrough = () => {};
  const held = new Promise<void>((resolve) => {
    letModelThrough = resolve;
  });
  await page.route('**/models/**/*.onnx*', async (route) => {
    await held;
    await route.continue();
  });
  await page.goto('/');
  await expect(tokens(page).first()).toBeVisible();
  return letModelThrough;
}

/** Waits until nothing is under way, the loading of a model that is held back excepted. */
export async function idle(page: Page): Promise<void> {
  const isIdle = withoutModel.has(page) ? 'html[data-idle="loading"]' : 'html[data-idle="true"]';
  await page.locator(isIdle).waitFor({ state: 'attached', timeout: idleTimeoutMs });
}

export const tokens = (page: Page): Locator => page.getByRole('option');
export const token = (page: Page, index: number): Locator => page.locator(`[data-token="${index}"]`);
export const stageTitle = (page: Page): Locator => page.locator('.readout-title');
export const readout = (page: Page): Locator => page.locator('.readout-numbers');
export const questionBox = (page: Page): Locator => page.getByRole('textbox', { name: 'Question about the image' });
export const message = (page: Page): Locator => page.locator('.ask-message');
export const patches = (page: Page): Locator => page.getByRole('grid');

export async function selectedTokens(page: Page): Promise<number[]> {
  const selected = page.locator('[role="option"][aria-selected="true"]');
  return selected.evaluateAll((options) => options.map((option) => Number((option as HTMLElement).dataset.token)));
}

export async function answerText(page: Page): Promise<string> {
  return (await tokens(page).evaluateAll((options) => options.map((option) => option.firstChild?.textContent))).join(
    ' ',
  );
}

/** The map's own pixels, 4 bytes a patch. */
export async function mapPixels(page: Page): Promise<number[]> {
  return page.locator('canvas.stage-map').evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const context = canvas.getContext('2d');
    return Array.from(context?.getImageData(0, 0, canvas.width, canvas.height).data ?? []);
  });
}

/** Asks about the image on screen and waits for the end of the answer. */
export async function ask(page: Page, question: string): Promise<void> {
  await questionBox(page).fill(question);
  await questionBox(page).press('Enter');
  await expect(page.locator('.answer-question')).toHaveText(question);
  await idle(page);
}
