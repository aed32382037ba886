import { expect, type Locator, type Page, test as plain } from '@playwright/test';
import { diskPng } from './images';
import { createSharedContexts, type SharedContexts } from './shared-context';

/** Loading the model takes 2 s on an idle machine. */
const idleTimeoutMs = 90_000;

interface Options {
  /** Console errors that the test causes on purpose. */
  allowedErrors: RegExp | undefined;
  /** Gives the test its own browser context, for an empty cache or for emulating another device. */
  isFresh: boolean;
  /** The first URL that a new context requests. */
  entry: string;
}

/** Fails a test if the page logs an error, or sends a request to another origin. */
export const test = plain.extend<Options, { compiled: readonly string[]; shared: SharedContexts }>({
  allowedErrors: [undefined, { option: true }],
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
    if (baseURL === undefined) throw new Error('baseURL is not set');
    if (isFresh) {
      const context = await browser.newContext();
      await use(context);
      await context.close();
    } else {
      await use(await shared.get(baseURL, entry));
      await shared.reset(baseURL);
    }
  },
  page: async ({ context, baseURL, allowedErrors, viewport }, use) => {
    const page = await context.newPage();
    if (viewport) await page.setViewportSize(viewport);
    const errors: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error' && !allowedErrors?.test(message.text())) errors.push(message.text());
    });
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${baseURL}`) && !/^(blob|data):/.test(url)) errors.push(`request to another origin: ${url}`);
    });
    await use(page);
    await page.unrouteAll({ behavior: 'ignoreErrors' });
    await page.close();
    expect(errors).toEqual([]);
  },
});

export { expect };

/** Opens the page and waits until the example, the model and the fonts have loaded. */
export async function openPage(page: Page, path = '/'): Promise<void> {
  await page.goto(path);
  await idle(page);
}

const withoutModel = new WeakSet<Page>();

/**
 * Opens the page without loading its model, and waits for everything else. Exploring an answer needs no model, and
 * loading one takes most of the page's load time.
 */
export async function openWithoutModel(page: Page, path = '/'): Promise<void> {
  if (!withoutModel.has(page)) await page.route('**/embedded.worker*.js', () => {});
  withoutModel.add(page);
  await openPage(page, path);
}

/** Opens the page with the example loaded and the model held back until the returned function is called. */
export async function openBeforeModel(page: Page): Promise<() => void> {
  const releaseModel = await holdBack(page, '**/models/**/*.onnx*');
  await page.goto('/');
  await expect(tokens(page).first()).toBeVisible();
  return releaseModel;
}

/** Holds back requests that match `pattern` until the returned function is called. */
export async function holdBack(page: Page, pattern: string): Promise<() => void> {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route(pattern, async (route) => {
    await released;
    await route.continue();
  });
  return release;
}

/** Chooses an image of a coloured disk as the user's own. */
export async function chooseDisk(page: Page, name: string, widthPx: number, heightPx: number): Promise<void> {
  const file = { name, mimeType: 'image/png', buffer: diskPng(widthPx, heightPx, [200, 40, 30]) };
  await page.locator('.ask input[type="file"]').setInputFiles(file);
}

/** Waits until the page is idle, apart from loading a model that is held back. */
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

type Box = NonNullable<Awaited<ReturnType<Locator['boundingBox']>>>;

/** Returns where an element is, in CSS pixels. Throws if it is not displayed. */
export async function boxOf(locator: Locator): Promise<Box> {
  const box = await locator.boundingBox();
  if (box === null) throw new Error(`${locator} is not displayed`);
  return box;
}

export async function selectedTokens(page: Page): Promise<number[]> {
  const selected = page.locator('[role="option"][aria-selected="true"]');
  return selected.evaluateAll((options) => options.map((option) => Number((option as HTMLElement).dataset.token)));
}

export async function answerText(page: Page): Promise<string> {
  return (await tokens(page).evaluateAll((options) => options.map((option) => option.firstChild?.textContent))).join(
    ' ',
  );
}

/** Returns the map's pixels, 4 bytes per patch. */
export async function mapPixels(page: Page): Promise<number[]> {
  return page.locator('canvas.stage-map').evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const context = canvas.getContext('2d');
    return Array.from(context?.getImageData(0, 0, canvas.width, canvas.height).data ?? []);
  });
}

/** Asks about the image on screen and waits until the answer ends. */
export async function ask(page: Page, question: string): Promise<void> {
  await questionBox(page).fill(question);
  await questionBox(page).press('Enter');
  await expect(page.locator('.answer-question')).toHaveText(question);
  await idle(page);
}
