import { expect, type Locator, type Page, test as plain } from '@playwright/test';

/** Every test fails on an error in the console and on a request that leaves the page's own origin. */
export const test = plain.extend<{ page: Page; tolerated: RegExp | undefined }>({
  /** Console errors that the test itself brings about. */
  tolerated: [undefined, { option: true }],
  page: async ({ page, baseURL, tolerated }, use) => {
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
    expect(faults).toEqual([]);
  },
});

export { expect };

/** Opens the page and waits until nothing is under way: the example read, the model loaded, the fonts there. */
export async function openPage(page: Page, path = '/'): Promise<void> {
  await page.goto(path);
  await idle(page);
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

export async function idle(page: Page): Promise<void> {
  await expect(page.locator('html')).toHaveAttribute('data-idle', 'true', { timeout: 45_000 });
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
