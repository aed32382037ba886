import { readFile } from 'node:fs/promises';
import type { Locator, Page } from '@playwright/test';
import { ask, boxOf, expect, holdBack, idle, openPage, openWithoutModel, selectedTokens, test, token } from './page';
import { type RunTexts, twoFramesRun } from './two-frames';

/** FastRM and a method that costs almost nothing, for tests in which the method does not matter. */
const quick = '&methods=fastrm,rollout';

const panel = (page: Page, name: string): Locator => page.getByRole('region', { name, exact: true });
const readoutOf = (page: Page, name: string): Locator => panel(page, name).locator('.panel-readout');
const gridOf = (page: Page, name: string): Locator => panel(page, name).getByRole('grid');
const panelNames = (page: Page): Promise<string[]> =>
  page
    .locator('[data-panel]')
    .evaluateAll((panels) => panels.map((element) => element.getAttribute('aria-label') ?? ''));

async function openCompare(page: Page, settings = ''): Promise<void> {
  await openPage(page, `/?view=compare${settings}`);
}

/** Opens FastRM next to the random map, neither of which needs the model. */
async function openWithRandom(page: Page): Promise<void> {
  await openWithoutModel(page, '/?view=compare&methods=fastrm,random');
}

/** Chooses a method from a list with the keyboard. */
async function chooseByKeyboard(page: Page, select: string, method: string): Promise<void> {
  await page.getByRole('button', { name: new RegExp(select) }).focus();
  await page.keyboard.press('Enter');
  await page.keyboard.type(method);
  await expect(page.getByRole('option', { name: method, exact: true })).toBeFocused();
  await page.keyboard.press('Enter');
}

async function saved(page: Page, name: string): Promise<{ values: number[]; threshold: number; method: string }> {
  const download = page.waitForEvent('download');
  await panel(page, name).getByRole('button', { name: 'JSON', exact: true }).click();
  const file = await download;
  const map = JSON.parse(await readFile(await file.path(), 'utf8')) as {
    values: number[][];
    threshold: number;
    method: string;
  };
  return { ...map, values: map.values.flat() };
}

test('switching views keeps the token and the picked patch, and the address names the view', async ({ page }) => {
  await openPage(page);
  await token(page, 1).click();
  await page.getByRole('grid').click({ position: { x: 120, y: 120 } });
  const patch = /r\d+ c\d+/.exec(await page.locator('.readout-numbers').innerText())?.[0] ?? '';
  await page.getByRole('link', { name: 'Compare' }).click();
  await idle(page);
  await expect(page).toHaveURL(/view=compare/);
  await expect.poll(() => selectedTokens(page)).toContain(1);
  await page.mouse.move(0, 0);
  await expect(readoutOf(page, 'FastRM')).toContainText(patch);
  await token(page, 3).click();
  await page.goBack();
  await expect(page.locator('.readout-title')).toContainText('Map of');
  await expect.poll(() => selectedTokens(page)).toEqual([3]);
  await expect(page.locator('.readout-numbers')).toContainText(patch);
  await expect(page).not.toHaveURL(/view=/);
});

test('FastRM and its teacher are side by side, and pointing at a patch shows its value in all panels', async ({
  page,
}) => {
  await openCompare(page);
  await expect.poll(() => panelNames(page)).toEqual(['FastRM', 'Chefer, exact']);
  await expect(panel(page, 'Chefer, exact')).toContainText('6 tokens done');
  await expect(panel(page, 'Chefer, exact')).toContainText(/\d+ forward, \d+ backward/);
  const box = await boxOf(gridOf(page, 'Chefer, exact'));
  await page.mouse.move(box.x + (4.5 / 24) * box.width, box.y + (2.5 / 24) * box.height);
  await expect(readoutOf(page, 'FastRM')).toContainText(/r3 c5 0\.\d\d\s*rank \d+ of 576/);
  await expect(readoutOf(page, 'Chefer, exact')).toContainText(/r3 c5 0\.\d\d of max\s*rank \d+ of 576/);
  await expect(readoutOf(page, 'Difference')).toContainText(/r3 c5 [+−]?0\.\d\d\s*rank \d+ of 576/);
});

test('arrow keys move the crosshair in all panels', async ({ page }) => {
  await openWithRandom(page);
  await gridOf(page, 'FastRM').focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('PageUp');
  await page.keyboard.press('ArrowDown');
  await expect(gridOf(page, 'FastRM').getByRole('gridcell')).toHaveAccessibleName(/row 2, column 1: 0\.\d\d, rank/);
  await expect(gridOf(page, 'Random').getByRole('gridcell')).toHaveAccessibleName(/row 2, column 1:/);
  await expect(readoutOf(page, 'Random')).toContainText('r2 c1');
});

test('panels can be added, moved, replaced and removed by keyboard, and the address keeps them', async ({ page }) => {
  await openCompare(page);
  await page.getByRole('button', { name: 'Add method' }).focus();
  await page.keyboard.press('Enter');
  await expect.poll(() => panelNames(page)).toHaveLength(3);
  const third = (await panelNames(page))[2] ?? '';
  await expect(panel(page, third).getByRole('button', { name: /Method of panel 3/ })).toBeFocused();

  await chooseByKeyboard(page, 'Method of panel 3', 'Attention rollout');
  await expect.poll(() => panelNames(page)).toEqual(['FastRM', 'Chefer, exact', 'Attention rollout']);
  await expect(page).toHaveURL(/methods=fastrm,chefer,rollout/);

  await page.getByRole('button', { name: 'Move Attention rollout left' }).focus();
  await page.keyboard.press('Enter');
  await expect.poll(() => panelNames(page)).toEqual(['FastRM', 'Attention rollout', 'Chefer, exact']);
  await expect(page.getByRole('button', { name: 'Move Attention rollout left' })).toBeFocused();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Enter'); // already first: no effect
  await expect.poll(() => panelNames(page)).toEqual(['Attention rollout', 'FastRM', 'Chefer, exact']);

  // Choosing another panel's method swaps the two.
  await chooseByKeyboard(page, 'Method of panel 1', 'Chefer, exact');
  await expect.poll(() => panelNames(page)).toEqual(['Chefer, exact', 'FastRM', 'Attention rollout']);

  await page.getByRole('button', { name: 'Remove Chefer, exact' }).focus();
  await page.keyboard.press('Enter');
  await expect.poll(() => panelNames(page)).toEqual(['FastRM', 'Attention rollout']);
  await expect(page.getByRole('button', { name: /Method of panel 1/ })).toBeFocused();
  await expect(page).toHaveURL(/methods=fastrm,rollout(&|$)/);
  await page.reload();
  await idle(page);
  await expect.poll(() => panelNames(page)).toEqual(['FastRM', 'Attention rollout']);
  await expect(panel(page, 'Attention rollout')).toContainText('tokens done');
});

test('the agreement can be recomputed from the saved maps', async ({ page }) => {
  await openCompare(page);
  await token(page, 2).click();
  await idle(page);
  const [first, second] = [await saved(page, 'FastRM'), await saved(page, 'Chefer, exact')];
  expect([first.method, second.method]).toEqual(['FastRM', 'Chefer, exact']);
  expect(Math.max(...second.values)).toBe(1);
  const shown = async (row: RegExp) =>
    Number((await page.getByRole('row', { name: row }).locator('td').first().innerText()).replace('−', '-'));

  const both = first.values.filter((value, i) => value >= first.threshold && second.values[i]! >= second.threshold);
  const outlined = (map: typeof first) => map.values.filter((value) => value >= map.threshold).length;
  expect(await shown(/^F1/)).toBeCloseTo((2 * both.length) / (outlined(first) + outlined(second)), 2);

  const top = (values: number[]) => {
    const cutoff = [...values].sort((a, b) => b - a)[Math.round(0.1 * values.length) - 1]!;
    return new Set(values.flatMap((value, i) => (value >= cutoff ? [i] : [])));
  };
  const [a, b] = [top(first.values), top(second.values)];
  const shared = [...a].filter((i) => b.has(i)).length;
  expect(await shown(/top 10 %/)).toBeCloseTo(shared / (a.size + b.size - shared), 2);

  const ranks = (values: number[]) =>
    values.map(
      (value) =>
        values.filter((other) => other < value).length + (values.filter((other) => other === value).length + 1) / 2,
    );
  const pearson = (x: number[], y: number[]) => {
    const mean = (z: number[]) => z.reduce((sum, value) => sum + value, 0) / z.length;
    const [mx, my] = [mean(x), mean(y)];
    const dot = (p: number[], mp: number, q: number[], mq: number) =>
      p.reduce((sum, value, i) => sum + (value - mp) * (q[i]! - mq), 0);
    return dot(x, mx, y, my) / Math.sqrt(dot(x, mx, x, mx) * dot(y, my, y, my));
  };
  expect(await shown(/Spearman/)).toBeCloseTo(pearson(ranks(first.values), ranks(second.values)), 2);
});

test('Shift with arrows extends the selection from the tokens on screen, in the strip as in the answer', async ({
  page,
}) => {
  await openWithRandom(page);
  const [shown] = await selectedTokens(page);
  const cell = page.locator(`[data-strip="${shown}"]`);
  await cell.focus();
  const key = shown === 0 ? 'Shift+ArrowRight' : 'Shift+ArrowLeft';
  await page.keyboard.press(key);
  await expect(page.locator('.strip-cell[aria-selected="true"]')).toHaveCount(2);
  await expect(page.getByRole('heading', { name: 'Words that these tokens rested on' })).toBeVisible();
});

test('marks above neighbouring words stay apart', async ({ page }) => {
  await openPage(page, '/?view=compare&methods=dex-ar,chefer');
  await expect(page.locator('.token-mark circle').first()).toBeAttached();
  await idle(page);
  const boxes = await page.locator('.tokens .token-mark').evaluateAll((marks) =>
    marks.map((mark) => {
      const parts = Array.from(mark.children, (part) => part.getBoundingClientRect());
      const edges = (of: (box: DOMRect) => number) => parts.map(of);
      return {
        left: Math.min(...edges(({ left }) => left)),
        right: Math.max(...edges(({ right }) => right)),
        top: Math.min(...edges(({ top }) => top)),
      };
    }),
  );
  expect(boxes.length).toBeGreaterThan(3);
  for (const [i, { left, top }] of boxes.entries()) {
    const before = boxes[i - 1];
    if (before === undefined || Math.abs(before.top - top) > 4) continue; // on another line
    expect(left, `mark ${i}`).toBeGreaterThanOrEqual(before.right);
  }
});

test('values can be shown as they are, as shares or as ranks, and the legend says which', async ({ page }) => {
  await openWithRandom(page);
  const legend = page.locator('.compare-legend .legend-scale');
  await expect(legend).toContainText('probabilities');
  await page.getByRole('radio', { name: 'Share of maximum' }).click();
  await expect(legend).toContainText('FastRM included');
  await expect(readoutOf(page, 'FastRM')).toContainText('1.00 of max');
  await page.getByRole('radio', { name: 'Rank' }).click();
  await expect(legend).toContainText('ranks');
  await expect(readoutOf(page, 'FastRM')).toContainText(/peak r\d+ c\d+ above all others/);
  await expect(panel(page, 'Difference')).toContainText('In percentiles');
  await expect(page).toHaveURL(/values=rank/);
});

test('each kind of map has its own outline threshold, and the agreement follows it', async ({ page }) => {
  await openWithRandom(page);
  const outlineOf = (name: string) => panel(page, name).locator('.outline-line').first().getAttribute('d');
  const [fastrm, random] = [await outlineOf('FastRM'), await outlineOf('Random')];
  const f1 = page.getByRole('row', { name: /^F1/ }).locator('td').first();
  const before = await f1.innerText();
  await page.getByRole('slider', { name: /FastRM outline: probability/ }).focus();
  await page.keyboard.press('Home');
  await expect.poll(() => outlineOf('FastRM')).toBe('M0 0L24 0L24 24L0 24Z');
  expect(await outlineOf('FastRM')).not.toBe(fastrm);
  expect(await outlineOf('Random')).toBe(random);
  await expect(f1).not.toHaveText(before);
  await page.getByRole('slider', { name: /Other outlines: share/ }).focus();
  await page.keyboard.press('End');
  await expect(page).toHaveURL(/share-threshold=1\.00/);
  await expect.poll(() => outlineOf('Random')).not.toBe(random);
  await page.getByRole('button', { name: 'reset' }).last().click();
  await expect.poll(() => outlineOf('Random')).toBe(random);
});

test('all panels zoom and pan together by keyboard, Ctrl with the wheel, or dragging', async ({ page }) => {
  await openWithRandom(page);
  const widths = () =>
    page.locator('.stage-frame').evaluateAll((frames) => frames.map((frame) => Math.round(frame.clientWidth)));
  const [fitted] = await widths();
  await gridOf(page, 'FastRM').focus();
  await page.keyboard.press('+');
  await expect.poll(async () => new Set(await widths())).toEqual(new Set([Math.round((fitted ?? 0) * 1.5)]));
  await page.keyboard.press('0');
  await expect.poll(async () => new Set(await widths())).toEqual(new Set([fitted]));

  const box = await boxOf(panel(page, 'Random').locator('.zoom-stage'));
  await page.mouse.move(box.x + 40, box.y + 40);
  const scrolledPx = () => page.evaluate(() => window.scrollY);
  await page.mouse.wheel(0, 100);
  await expect.poll(scrolledPx).toBeGreaterThan(0); // the wheel alone scrolls the page
  await page.evaluate(() => window.scrollTo(0, 0));
  expect(await widths()).toEqual([fitted, fitted, fitted]);
  await page.keyboard.down('Control');
  await page.mouse.wheel(0, -400);
  await page.keyboard.up('Control');
  await expect.poll(async () => (await widths())[0]).toBeGreaterThan((fitted ?? 0) * 1.2);
  expect(new Set(await widths()).size).toBe(1);

  const left = () =>
    page
      .locator('.stage-frame')
      .first()
      .evaluate((frame) => frame.getBoundingClientRect().left);
  const before = await left();
  await page.mouse.move(box.x + 200, box.y + 200);
  await page.mouse.down();
  await page.mouse.move(box.x + 150, box.y + 200, { steps: 4 });
  await page.mouse.up();
  await expect.poll(left).toBeCloseTo(before - 50, 0);
  await expect(page.locator('.patch-cursor[data-picked]')).toHaveCount(0); // dragging does not pick a patch
  await page.getByRole('button', { name: 'Fit', exact: true }).click();
  await expect.poll(async () => new Set(await widths())).toEqual(new Set([fitted]));
});

test('the strip shows every token’s map by a chosen method, and selects tokens', async ({ page }) => {
  await openCompare(page, quick);
  const cells = page.getByRole('listbox', { name: /Maps of all tokens/ }).getByRole('option');
  await expect(cells).toHaveCount(6);
  await chooseByKeyboard(page, 'Method of the strip', 'Raw attention');
  await idle(page);
  await expect(page.getByRole('region', { name: 'All tokens' })).toContainText('6 tokens done');
  await cells.nth(1).click();
  expect(await page.locator('.tokens [aria-selected="true"]').count()).toBe(1);
  await page.keyboard.press('ArrowRight');
  await expect(cells.nth(2)).toBeFocused();
  await expect(token(page, 2)).toHaveAttribute('aria-selected', 'true');
  await page.keyboard.press('End');
  await expect(token(page, 5)).toHaveAttribute('aria-selected', 'true');
});

test('maps of several tokens can be pooled; weighting by grounding needs DEX-AR and offers to run it', async ({
  page,
}) => {
  await openCompare(page, quick);
  await page.getByRole('radio', { name: 'Whole answer' }).click();
  await idle(page);
  const mean = await saved(page, 'Attention rollout');
  await page.getByRole('radio', { name: 'Maximum', exact: true }).click();
  await expect.poll(async () => (await saved(page, 'Attention rollout')).values).not.toEqual(mean.values);
  await page.getByRole('radio', { name: 'Grounding-weighted mean' }).click();
  await expect(panel(page, 'FastRM')).toContainText('DEX-AR has no weight for 6 of these 6 tokens yet');
  await page.getByRole('button', { name: 'Show per word' }).click();
  await idle(page);
  await expect(panel(page, 'FastRM')).not.toContainText('has no weight for');
  expect((await saved(page, 'FastRM')).values).toHaveLength(576);
  await expect(token(page, 2)).toHaveAccessibleName(/of its relevancy on the image, grounding [\d.]+/);
});

test('the prompt’s words are shaded by relevancy, and a focused word shows its share', async ({ page }) => {
  await openCompare(page);
  await ask(page, 'What color is the small cube?');
  const words = page.getByRole('list', { name: 'Words weighed by Chefer, exact' });
  await expect(words.getByRole('listitem', { name: /^color, [\d.]+ %/ })).toBeVisible();
  await words.getByRole('listitem').first().focus();
  await page.keyboard.press('ArrowRight');
  await expect(words.getByRole('listitem').nth(1)).toBeFocused();
  const readout = page.locator('.words').filter({ has: words }).locator('.words-readout');
  await expect(readout).toContainText('of the relevancy');
});

test('FastRM’s words have probabilities, without shares, and a head that gives none is said to', async ({ page }) => {
  await openWithRandom(page);
  const prompt = ['USER', ': What', ' is', ' in', ' the', ' middle', '?'];
  const promptMaps = [
    [0, 0.1, 0, 0.2, 0, 0.9, 0.05],
    [0, 0.3, 0.1, 0.2, 0, 0.7, 0.05],
  ];
  const open = (texts: RunTexts) => {
    const file = { name: 'a.run', mimeType: 'application/octet-stream', buffer: twoFramesRun(texts) };
    return page.locator('input[type="file"]').setInputFiles(file);
  };
  const part = page.getByRole('region', { name: 'Prompt words' });
  const words = page.getByRole('list', { name: 'Words weighed by FastRM' });
  await open({ prompt, promptMaps });
  await token(page, 0).click();
  await expect(words.getByRole('listitem')).toHaveCount(prompt.length);
  await expect(part.locator('.words-readout')).toHaveText('most: “middle” 0.90');
  await token(page, 1).click({ modifiers: ['Shift'] });
  await expect(words.getByRole('listitem', { name: 'middle, 0.80' })).toBeVisible();
  await expect(part.locator('.words-head')).toHaveText(/probability of each word.*the answer so far is not weighed/);
  await expect(part).not.toContainText('%');
  await expect(page.locator('.tokens .token-mark')).toHaveCount(0);

  await words.getByRole('listitem').first().focus();
  await page.keyboard.press('End');
  await expect(words.getByRole('listitem').last()).toBeFocused();
  await expect(part.locator('.words-readout')).toHaveText('“?” 0.05');

  await open({ id: 'without-words', prompt });
  await expect(part).toContainText('FastRM weighs only patches here: its head gives no values for words.');
  await expect(words).toHaveCount(0);
});

test('a question asked here is answered and compared, with its costs as a chart and a table', async ({ page }) => {
  await openCompare(page);
  await ask(page, 'How many spheres are there?');
  await expect(panel(page, 'Chefer, exact')).toContainText('tokens done');
  await expect(page.locator('.cost-series')).toHaveCount(2);
  await page.getByText('Show as table').click();
  const rows = page.locator('.cost-table tbody tr');
  await expect(rows.filter({ hasText: 'FastRM' })).toHaveCount(1);
  await expect(rows.filter({ hasText: 'Chefer, exact' }).first()).toContainText(/ms|s/);
});

test.describe('while a graph loads', () => {
  test.use({ isFresh: true });

  test('its method can be stopped and continued, and finished maps stay', async ({ page }) => {
    const release = await holdBack(page, '**/models/**/explain-gradcam.onnx');
    await page.goto('/?view=compare&methods=fastrm,gradcam');
    const gradcam = panel(page, 'GradCAM, attention');
    await expect(gradcam).toContainText('Explaining: 0 of', { timeout: 45_000 });
    await gradcam.getByRole('button', { name: 'Stop GradCAM, attention' }).click();
    await expect(gradcam).toContainText('Stopped after 0 of 6');
    await expect(readoutOf(page, 'FastRM')).toContainText('peak');
    release();
    await gradcam.getByRole('button', { name: 'Continue' }).click();
    await idle(page);
    await expect(gradcam).toContainText('6 tokens done');
  });
});

test.describe('when a graph cannot be loaded', () => {
  test.use({ allowedErrors: /Failed to load resource/, isFresh: true });

  test('the panel shows the error, and Try again computes the maps', async ({ page }) => {
    await page.route('**/models/**/explain-gradcam.onnx', (route) => route.abort());
    await openCompare(page, '&methods=fastrm,gradcam');
    const gradcam = panel(page, 'GradCAM, attention');
    await expect(gradcam).toContainText('Failed:');
    await page.unroute('**/models/**/explain-gradcam.onnx');
    await gradcam.getByRole('button', { name: 'Try again' }).click();
    await idle(page);
    await expect(gradcam).toContainText('6 tokens done');
  });
});

test('maps are computed once, even when the user leaves the view and comes back', async ({ page }) => {
  await openCompare(page);
  const cost = panel(page, 'Chefer, exact').locator('.panel-cost');
  const before = await cost.innerText();
  await page.getByRole('link', { name: 'Explain' }).click();
  await page.getByRole('link', { name: 'Compare' }).click();
  await idle(page);
  await expect(cost).toHaveText(before);
});

test('a run of another model shows the maps in its file, and why other methods are not available', async ({ page }) => {
  await openWithRandom(page);
  const file = { name: 'colleague.run', mimeType: 'application/octet-stream', buffer: twoFramesRun() };
  await page.locator('input[type="file"]').setInputFiles(file);
  await idle(page);
  await expect(panel(page, 'FastRM').locator('canvas.stage-map')).toBeVisible();
  await page.getByRole('button', { name: /Method of panel 1/ }).click();
  const chefer = page.getByRole('option', { name: 'Chefer, exact' });
  await expect(chefer).toHaveAttribute('aria-disabled', 'true');
  await expect(chefer).toContainText('Not available:');
  await page.keyboard.press('Escape');
  await page.getByRole('radio', { name: /Overview/ }).click();
  await expect(page).toHaveURL(/frame=overview/);
});
