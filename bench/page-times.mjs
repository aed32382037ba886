// @ts-check
// Measures what a visitor to the built page waits for: first paint, the model, an answer, a map after a click.

/** @typedef {{ firstPaintMs: number, exampleMs: number, readyMs: number }} LoadTimes */
/** @typedef {{ firstTokenMs: number, tokenMs: number, mapMs: number, tokens: number }} AnswerTimes */

/**
 * @param {import('@playwright/test').Page} page
 * @param {string} url
 * @returns {Promise<LoadTimes>} measured from the start of the navigation
 */
export async function measureLoad(page, url) {
  await page.goto(url, { waitUntil: 'commit' });
  const sinceStart = () => page.evaluate(() => performance.now());
  await page.locator('[data-token][data-map="true"]').first().waitFor();
  const exampleMs = await sinceStart();
  await page.locator('.status[data-phase="ready"]').waitFor({ timeout: 120_000 });
  const readyMs = await sinceStart();
  await idle(page);
  const firstPaintMs = await page.evaluate(
    () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
  );
  return { firstPaintMs, exampleMs, readyMs };
}

/**
 * Asks a question and records when each token appears.
 * @param {import('@playwright/test').Page} page
 * @param {string} question
 * @returns {Promise<AnswerTimes>}
 */
export async function measureAnswer(page, question) {
  await page.getByRole('textbox', { name: 'Question about the image' }).fill(question);
  const previousCount = await page.locator('[data-token]').count();
  await page.evaluate((previous) => {
    /** @type {number[]} */
    const seen = [];
    const start = performance.now();
    let isNew = previous === 0;
    new MutationObserver(() => {
      const count = document.querySelectorAll('[data-token]').length;
      isNew ||= count < previous;
      while (isNew && seen.length < count) seen.push(performance.now() - start);
    }).observe(document.body, { subtree: true, childList: true });
    Object.assign(window, { tokenTimesMs: seen });
  }, previousCount);
  await page.keyboard.press('Enter');
  await page.locator('.answer-question', { hasText: question }).waitFor();
  await idle(page);
  /** @type {number[]} */
  const times = await page.evaluate(() => /** @type {any} */ (window).tokenTimesMs);
  const mapMs = [];
  for (const token of (await page.locator('[data-token]').all()).slice(0, 12)) {
    await token.click();
    mapMs.push(await shownMapMs(page));
  }
  const first = times[0] ?? Number.NaN;
  const last = times.at(-1) ?? Number.NaN;
  return {
    firstTokenMs: first,
    tokenMs: (last - first) / (times.length - 1),
    mapMs: median(mapMs),
    tokens: times.length,
  };
}

/**
 * Measures the time from a pointer press on a token until its map is drawn, and until the frame that shows it.
 * @param {import('@playwright/test').Page} page
 * @returns {Promise<{ drawnMs: number, shownMs: number }>}
 */
export async function measureClick(page) {
  await page.evaluate(() => {
    const put = CanvasRenderingContext2D.prototype.putImageData;
    /** @type {{ drawnMs: number, shownMs: number }[]} */
    const clicks = [];
    let downAt = 0;
    const onPointerDown = (/** @type {PointerEvent} */ event) => {
      downAt = event.timeStamp;
    };
    window.addEventListener('pointerdown', onPointerDown, { capture: true });
    CanvasRenderingContext2D.prototype.putImageData = function (/** @type {any[]} */ ...args) {
      // @ts-expect-error: forwards the arguments of either overload
      put.apply(this, args);
      if (!this.canvas.classList.contains('stage-map') || downAt === 0) return;
      const click = { drawnMs: performance.now() - downAt, shownMs: Number.NaN };
      clicks.push(click);
      const from = downAt;
      downAt = 0;
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        click.shownMs = performance.now() - from;
      };
      requestAnimationFrame(() => port2.postMessage(0));
    };
    Object.assign(window, { clicks });
  });
  for (let round = 0; round < 5; round++) {
    for (const token of (await page.locator('[data-token]').all()).slice(0, 12)) {
      await token.click();
      await page.waitForTimeout(50);
    }
  }
  /** @type {{ drawnMs: number, shownMs: number }[]} */
  const clicks = await page.evaluate(() => /** @type {any} */ (window).clicks);
  if (clicks.length === 0) throw new Error('no click drew a map');
  return { drawnMs: median(clicks.map((c) => c.drawnMs)), shownMs: median(clicks.map((c) => c.shownMs)) };
}

/** @param {import('@playwright/test').Page} page */
async function idle(page) {
  await page.locator('html[data-idle="true"]').waitFor({ state: 'attached', timeout: 120_000 });
}

/** @param {import('@playwright/test').Page} page */
async function shownMapMs(page) {
  const texts = await page.locator('.provenance [data-volatile]').allTextContents();
  const match = /([\d.,]+)\s*(µs|ms|s)/.exec(texts.at(-1) ?? '');
  if (match === null) throw new Error(`the provenance line shows no compute time: ${texts.join(' | ')}`);
  const unitMs = { µs: 0.001, ms: 1, s: 1000 }[/** @type {'µs' | 'ms' | 's'} */ (match[2])];
  return Number((match[1] ?? '').replaceAll(',', '')) * unitMs;
}

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
