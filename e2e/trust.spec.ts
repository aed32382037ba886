import { readFile } from 'node:fs/promises';
import type { Download, Locator, Page } from '@playwright/test';
import { exampleAblations } from '../src/contract/ablation-report.example';
import { expectAccessible } from './looks';
import { boxOf, chooseDisk, expect, idle, openPage, openWithoutModel, questionBox, test, token } from './page';

const sentence = (page: Page): Locator => page.locator('.trust-sentence');
const count = (page: Page): Locator => page.locator('.samples-count');
const chart = (page: Page, id: string): Locator => page.locator(`[data-chart="${id}"]`);
const figureOf = (page: Page, name: string): Locator => page.getByRole('figure', { name, exact: true });
const cells = (page: Page, column: string): Locator => page.locator(`.samples-cell[data-column="${column}"]`);
const message = (page: Page): Locator => page.locator('.source-message');
const filePicker = (page: Page): Locator => page.locator('.source input[type="file"]');

const openEvidence = async (page: Page) => {
  await page.getByRole('button', { name: 'Show the evidence' }).click();
  await idle(page);
};

const csvFile = (name: string, lines: readonly string[]) => ({
  name,
  mimeType: 'text/csv',
  buffer: Buffer.from(`${lines.join('\n')}\n`),
});

/** Returns reproducible entropies, half a nat lower for right answers. */
function entropyCsv(right: number, wrong: number): string[] {
  const wave = (i: number, mean: number) => (mean + Math.sin(i * 12.9898) * 0.6).toFixed(4);
  return [
    'entropy,correct',
    ...Array.from({ length: right }, (_, i) => `${wave(i, 4.6)},1`),
    ...Array.from({ length: wrong }, (_, i) => `${wave(i + 0.5, 5.1)},0`),
  ];
}

async function remainingRows(page: Page): Promise<number> {
  const text = await count(page).locator('strong').innerText();
  return Number(text.replaceAll(',', ''));
}

async function contentOf(download: Download): Promise<string> {
  return readFile(await download.path(), 'utf8');
}

test('next to the answer, the page says how many answers like it were right, and shows the evidence on request', async ({
  page,
}) => {
  await openPage(page);
  await expect(sentence(page)).toHaveText(
    /^Of [\d,]+ answers like this one \(entropy [\d.]+ to [\d.]+ nats\), \d+\s% \(\d+–\d+\s%\) were right\.$/,
  );
  await openEvidence(page);
  await expect(figureOf(page, 'Entropy of the maps')).toBeVisible();
  await expect(figureOf(page, 'Mean log-probability')).toBeVisible();
  await expect(page.locator('.evidence')).toContainText('Judged by the model’s certainty instead: of ');
  await expect(page.locator('.evidence')).toContainText(/AUROC 0\.\d\d \(0\.\d\d–0\.\d\d\) against 0\.\d\d/);
  await expect(page.locator('.evidence')).toContainText('the kind of question alone has 0.73');
  await expect(page.locator('.evidence')).toContainText('Answers like this one are mostly answers to the same kinds');
  await expect(page.locator('.evidence')).toContainText('Best of 18 choices on these answers');
  const tokens = page.locator('.token-entropies li');
  await expect(tokens.first()).toHaveText(/^There \d\.\d\d$/);
});

test('choosing another entropy changes the comparison, and a button resets it', async ({ page }) => {
  await openPage(page);
  await openEvidence(page);
  const before = await sentence(page).innerText();
  await page.getByRole('radio', { name: 'Bernoulli' }).click();
  await idle(page);
  await expect(sentence(page)).not.toHaveText(before);
  await expect(page.locator('.evidence')).toContainText('Bernoulli: mean binary entropy');
  await page.getByRole('button', { name: 'Reset to the best choice' }).click();
  await idle(page);
  await expect(sentence(page)).toHaveText(before);
});

test('a selected token shows the entropy of its map', async ({ page }) => {
  await openWithoutModel(page);
  await token(page, 1).click();
  await expect(page.locator('.inspector-head')).toContainText(/entropy \d\.\d\d nats/);
});

test('for an uploaded image, the page gives no figures and says how to make a calibration', async ({ page }) => {
  await openPage(page);
  await chooseDisk(page, 'mine.png', 336, 336);
  await questionBox(page).fill('What color is the sphere?');
  await questionBox(page).press('Enter');
  await expect(page.locator('.answer-question')).toHaveText('What color is the sphere?');
  await idle(page);
  await expect(sentence(page)).toContainText('No figures for your own image');
  await expect(sentence(page)).toContainText('patchlight evaluate');
});

test.describe('when requests fail', () => {
  test.use({ allowedErrors: /404/ });

  test('the page says that the calibration is missing and how to make one', async ({ page }) => {
    await page.route('**/datasets/**', (route) => route.fulfill({ status: 404, body: 'none' }));
    await openWithoutModel(page, '/?view=trust');
    await expect(page.locator('.trust .notice')).toContainText('404');
    await expect(page.locator('.trust .notice')).toContainText('patchlight evaluate');
  });

  test('without a report on ablations, there is no heading for them', async ({ page }) => {
    await page.route('**/report/ablations.json', (route) => route.fulfill({ status: 404, body: 'none' }));
    await openWithoutModel(page, '/?view=trust');
    await expect(page.getByRole('heading', { name: /^Table 1/ })).toBeVisible();
    await expect(page.getByRole('heading', { name: /^Ablations/ })).toHaveCount(0);
  });

  test('a sample whose image is missing is not opened, and the page says why', async ({ page }) => {
    await page.route('**/datasets/**/images.bin', (route) => route.fulfill({ status: 404, body: 'none' }));
    await openPage(page, '/?view=trust');
    await page.locator('.samples-row').first().click();
    await expect(page.locator('.samples-note')).toContainText('could not be read: the server answered 404');
    await expect(page).toHaveURL(/view=trust/);
  });
});

test('ablations are charts that can be read by keyboard, with their numbers as a table', async ({ page }) => {
  await page.route('**/report/ablations.json', (route) => route.fulfill({ json: exampleAblations }));
  await openWithoutModel(page, '/?view=trust');
  const figure = figureOf(page, 'Labelling threshold');
  await expect(figure.locator('.chart-note')).toContainText('The paper’s: 0.3. F1 0.57 (0.55–0.60)');
  const slider = figure.getByRole('slider', { name: 'Read Labelling threshold at' });
  await slider.focus();
  await slider.press('Home');
  await expect(slider).toHaveAttribute('aria-valuetext', /^0\.1 · F1 0\.40 \(0\.38–0\.43\)/);
  await slider.press('ArrowRight');
  await expect(slider).toHaveAttribute('aria-valuetext', /^0\.3 · F1 0\.57/);
  await figure.getByRole('button', { name: 'Labelling threshold as a table' }).click();
  await expect(figure.getByRole('columnheader', { name: 'F1: low' })).toBeVisible();
});

test('a brush filters the other charts and the table, by pointer and by keyboard', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  const all = await remainingRows(page);
  expect(all).toBeGreaterThanOrEqual(10_000);
  const firstRow = page.locator('.samples-row').first();
  await chart(page, 'entropy').scrollIntoViewIfNeeded();
  const readSlider = chart(page, 'entropy').getByRole('slider', { name: 'Read Entropy at' });
  const box = await boxOf(readSlider);
  await page.mouse.move(box.x + box.width * 0.2, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 30, { steps: 4 });
  await page.mouse.up();
  // The table updates once the brush stops moving.
  await expect.poll(() => remainingRows(page)).toBeLessThan(all);
  await idle(page);
  const brushed = await remainingRows(page);
  expect(brushed).toBeGreaterThan(0);
  await firstRow.scrollIntoViewIfNeeded();
  const high = chart(page, 'entropy').getByRole('slider', { name: 'Entropy, to' });
  const from = Number(
    await chart(page, 'entropy').getByRole('slider', { name: 'Entropy, from' }).getAttribute('aria-valuenow'),
  );
  const to = Number(await high.getAttribute('aria-valuenow'));
  const entropies = await cells(page, 'entropy').allInnerTexts();
  expect(entropies.length).toBeGreaterThan(3);
  for (const text of entropies) {
    expect(Number(text)).toBeGreaterThanOrEqual(from - 0.006);
    expect(Number(text)).toBeLessThanOrEqual(to + 0.006);
  }
  await high.focus();
  await page.keyboard.press('End');
  await idle(page);
  await expect.poll(() => remainingRows(page)).toBeGreaterThan(brushed);
  await page.keyboard.press('Escape');
  await idle(page);
  await expect.poll(() => remainingRows(page)).toBe(all);
});

test('a chart can be read and brushed by keyboard alone', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  const all = await remainingRows(page);
  const readSlider = chart(page, 'length').getByRole('slider', { name: 'Read Answer length at' });
  await readSlider.focus();
  await page.keyboard.press('Home');
  await expect(chart(page, 'length').locator('.chart-note')).toContainText(/tokens? · [\d,]+ right, [\d,]+ wrong/);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await idle(page);
  await expect.poll(() => remainingRows(page)).toBeLessThan(all);
  await page.keyboard.press('Escape');
  await idle(page);
  await expect.poll(() => remainingRows(page)).toBe(all);
});

test('answers can be filtered by kind and searched, and one button clears all filters', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  const all = await remainingRows(page);
  await page.getByRole('checkbox', { name: /^count:/ }).click();
  await expect.poll(() => remainingRows(page)).toBeLessThan(all);
  const counts = await remainingRows(page);
  await page.getByRole('searchbox').fill('spheres');
  await idle(page);
  await expect.poll(() => remainingRows(page)).toBeLessThan(counts);
  await expect(page.locator('.sample-question').first()).toContainText('spheres');
  await page.getByRole('searchbox').fill('no such words');
  await expect(page.locator('.samples-empty')).toContainText('No answers match');
  await page.getByRole('button', { name: 'Clear all' }).click();
  await idle(page);
  await expect.poll(() => remainingRows(page)).toBe(all);
});

test('the table can be sorted by a column', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  await page.getByRole('columnheader', { name: 'Log-prob.' }).click();
  await idle(page);
  const readValues = async () => (await cells(page, 'logProb').allInnerTexts()).map(Number);
  await expect.poll(async () => (await readValues())[0]).toBeLessThan(-0.1);
  const values = await readValues();
  expect(values.length).toBeGreaterThan(3);
  expect(values).toEqual([...values].sort((a, b) => a - b));
});

test('a row opens as a run: its question is asked again and compared with answers like it', async ({ page }) => {
  await openPage(page, '/?view=trust');
  const row = page.locator('.samples-row').first();
  const question = await row.locator('.sample-question').innerText();
  const answer = await row.locator('.sample-answer').innerText();
  const imageResponse = page.waitForResponse('**/images.bin');
  await row.click();
  await expect(page.locator('.answer-question')).toHaveText(question);
  // Fetches only this image's part of the 4 MB file.
  const image = await imageResponse;
  expect(image.status()).toBe(206);
  expect((await image.body()).length).toBeLessThan(20_000);
  await idle(page);
  const answerAgain = await page.locator('.tokens').innerText();
  expect(answerAgain.replaceAll(/[\s\d]+/g, '')).toBe(answer.replaceAll(/[\s\d]+/g, ''));
  await expect(sentence(page)).toContainText('answers like this one');
});

test('a table replaces the model calibration, and closing it restores that', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  await filePicker(page).setInputFiles(csvFile('mine.csv', entropyCsv(700, 300)));
  await expect(page.locator('.source-facts')).toContainText('mine.csv: 1,000 answers, 700 right and 300 wrong');
  await idle(page);
  await expect(page.locator('.trust-finding')).toContainText('of those are right');
  await expect(chart(page, 'logProb')).toHaveCount(0);
  await expect.poll(() => remainingRows(page)).toBe(1000);
  await page.locator('.samples-row').first().click();
  await expect(page.locator('.samples-note')).toContainText('cannot be asked again');
  // The table names no model, so answers are still compared with the calibration of the model that gave them.
  await page.getByRole('link', { name: 'Explain' }).click();
  await idle(page);
  await expect(sentence(page)).toContainText('answers like this one');
  await page.getByRole('link', { name: 'Trust' }).click();
  await idle(page);
  await page.getByRole('button', { name: 'Back to the model’s calibration' }).click();
  await idle(page);
  await expect.poll(() => remainingRows(page)).toBeGreaterThan(10_000);
});

test('tables are read as other programs write them', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  const facts = page.locator('.source-facts');
  // Decompression in the worker, under the page's security policy.
  for (const name of [
    'lz4.arrow',
    'zstd.arrows',
    'gzip-pages-2.parquet',
    'brotli-pages-1.parquet',
    'gzipped.arrow.gz',
  ]) {
    await filePicker(page).setInputFiles(`src/contract/fixtures/tables/${name}`);
    await expect(facts).toContainText(name);
  }
  const text = ['sep=;', 'entropy;correct;question', '4,5;ja;"Où, là ?"', '5,25;nein;'].join('\r\n');
  await filePicker(page).setInputFiles({
    name: 'excel.csv',
    mimeType: 'text/csv',
    buffer: Buffer.from(text, 'latin1'),
  });
  await expect(message(page)).toContainText('line 3 has "ja"');
  const buffer = Buffer.from(text.replace('ja', 'yes').replace('nein', 'no'), 'latin1');
  await filePicker(page).setInputFiles({ name: 'excel.csv', mimeType: 'text/csv', buffer });
  await expect(facts).toContainText('excel.csv: 2 answers, 1 right and 1 wrong');
  await expect(facts).toContainText('read as Windows-1252');
  await expect(facts).toContainText('decimal comma');
});

test('nothing of the model calibration is shown as the figures of a table that lacks the values', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  await expect(page.locator('.trust-lead')).toContainText('mean log-probability separates right from wrong answers');
  await expect(page.locator('.trust-lead')).toContainText('Among answers to the same kind of question, AUROC is 0.55');
  await filePicker(page).setInputFiles(csvFile('plain.csv', entropyCsv(700, 300)));
  await expect(page.locator('.source-facts')).toContainText('plain.csv: 1,000 answers');
  await idle(page);
  await expect(page.locator('.trust-lead')).toContainText('The file has no log-probabilities');
  await expect(page.locator('.trust-lead')).toContainText('tells no kinds of question apart');
  await expect(page.locator('.trust-lead')).not.toContainText('0.88');
  await expect(page.locator('.trust-hero')).not.toContainText('0.88');
  await expect(page.locator('.figures').first()).not.toContainText('Mean log-probability');
  await expect(page.locator('.trust-paper')).toContainText('They do not come from plain.csv.');
  await page.getByRole('button', { name: 'Back to the model’s calibration' }).click();
  await idle(page);
  await expect(page.locator('.trust-lead')).toContainText('mean log-probability separates right from wrong answers');
});

test('a table stays open over the views, in the history and on reload, until it is closed', async ({ page }) => {
  const facts = page.locator('.source-facts');
  await openWithoutModel(page, '/?view=trust');
  await filePicker(page).setInputFiles(csvFile('mine.csv', entropyCsv(1, 0)));
  await expect(facts).toContainText('mine.csv: 1 answer, 1 right and 0 wrong');
  for (const view of ['Explain', 'Compare']) {
    await page.getByRole('link', { name: view }).click();
    await expect(facts).toBeHidden();
    await page.getByRole('link', { name: 'Trust' }).click();
    await expect(facts).toContainText('mine.csv');
  }
  await page.goBack();
  await expect(facts).toBeHidden();
  await page.goForward();
  await expect(facts).toContainText('mine.csv');
  await page.reload();
  await expect(facts).toContainText('mine.csv: 1 answer');
  await page.getByRole('button', { name: 'Back to the model’s calibration' }).click();
  await expect(facts).toContainText('10,188 answers');
  await page.reload();
  await expect(facts).toContainText('10,188 answers');
});

test('answers at -Infinity are ranked, counted and marked at the edge of every chart', async ({ page }) => {
  const lines = Array.from({ length: 400 }, (_, i) => {
    const logProb = i % 40 === 0 ? '-Infinity' : (-0.1 - (i % 97) / 100).toFixed(3);
    return `${(4 + (i % 89) / 100).toFixed(2)},${i % 40 === 0 || i % 4 === 1 ? 0 : 1},${logProb}`;
  });
  await openWithoutModel(page, '/?view=trust');
  await filePicker(page).setInputFiles(csvFile('underflow.csv', ['entropy,correct,logProb', ...lines]));
  await expect(page.locator('.source-facts')).toContainText('underflow.csv: 400 answers');
  await idle(page);
  await expect(chart(page, 'logProb').locator('.edge-mark')).toContainText('10 answers at -∞');
  const density = page.locator('.trust-hero-figures').getByRole('figure', { name: 'Mean log-probability' });
  await expect(density.locator('.edge-mark')).toContainText('10 answers at -∞');
  await expect(density).toContainText('not in the curves: 10 wrong answers at -∞');
  await page.getByRole('columnheader', { name: 'Log-prob.' }).click();
  await idle(page);
  await expect(cells(page, 'logProb').first()).toHaveText('-∞');
  await chart(page, 'logProb')
    .getByRole('button', { name: /as a table$/ })
    .click();
  await expect(chart(page, 'logProb').getByRole('row').nth(1)).toContainText('-∞');
});

test('the choice of the entropy does not move its own controls', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  const heights = async () => {
    const choices = await boxOf(page.locator('.trust-hero .choices').first());
    return [(await boxOf(page.getByRole('radio', { name: 'KDE' }))).y, choices.y, choices.height];
  };
  const before = await heights();
  await page.getByRole('radio', { name: 'KDE' }).click();
  await idle(page);
  expect(await heights()).toEqual(before);
});

test('a file that is not a calibration is rejected, whether dropped or chosen, and nothing else changes', async ({
  page,
}) => {
  await openWithoutModel(page, '/?view=trust');
  const all = await remainingRows(page);
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(['\u0000\u0001 no table'], 'holiday.png', { type: 'image/png' }));
    window.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  await expect(message(page)).toContainText('holiday.png was not loaded.');
  await expect.poll(() => remainingRows(page)).toBe(all);
  await filePicker(page).setInputFiles(csvFile('columns.csv', ['height,width', '1,2']));
  await expect(message(page)).toContainText('columns.csv was not loaded.');
  await expect.poll(() => remainingRows(page)).toBe(all);
});

test('an empty class and too few answers are reported, and no figures are invented', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  await filePicker(page).setInputFiles(csvFile('right.csv', entropyCsv(200, 0)));
  await expect(page.locator('.source-facts')).toContainText('200 right and 0 wrong');
  await idle(page);
  await expect(page.locator('.trust-hero .chart-note').first()).toContainText('There are no wrong answers.');
  await expect(page.locator('.trust-finding')).toContainText(/0 wrong answers|no wrong answers/);
  await expect(page.locator('.figures').first()).not.toContainText('NaN');
  await filePicker(page).setInputFiles(csvFile('few.csv', entropyCsv(12, 8)));
  await expect(page.locator('.source-facts')).toContainText('12 right and 8 wrong');
  await idle(page);
  await expect(page.locator('.trust-hero .chart-note').first()).toContainText('Bands need at least 30');
  await expect(page.locator('.trust-hero .density-band[d=""]')).toHaveCount(2);
});

test('a chart can be shown as a table, and its files include their provenance', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  const hero = figureOf(page, 'Entropy, sum-normalised, mean of content tokens');
  await hero.getByRole('button', { name: /as a table$/ }).click();
  await expect(hero.getByRole('columnheader', { name: 'right low' })).toBeVisible();
  expect(await hero.getByRole('row').count()).toBe(257);
  await hero.getByRole('button', { name: /as a table$/ }).click();
  const save = async (kind: RegExp) => {
    await hero.getByRole('button', { name: /^Save/ }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('menuitem', { name: kind }).click();
    return download;
  };
  const csv = await contentOf(await save(/CSV/));
  expect(csv).toMatch(/^# Entropy, sum-normalised/);
  expect(csv).toMatch(/# model patchlight-scenes [0-9a-f]{12}, head fastrm [0-9a-f]{12}/);
  expect(csv.split('\n').filter((line) => /^[\d.]+,/.test(line)).length).toBe(256);
  const svg = await contentOf(await save(/SVG/));
  expect(svg).toContain('<desc>');
  expect(svg).toContain('patchlight-scenes');
  expect(svg).not.toContain('class="');
  const png = await readFile(await (await save(/PNG/)).path());
  expect(png.subarray(1, 4).toString()).toBe('PNG');
  expect(png.length).toBeGreaterThan(10_000);
});

test('moving the bandwidth slider redraws the densities, and the last move wins', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  const line = page.locator('.trust-hero .density-line[data-class="right"]').first();
  const before = await line.getAttribute('d');
  const thumb = page.getByRole('slider', { name: /Bandwidth/ });
  await thumb.focus();
  for (let press = 0; press < 12; press++) await page.keyboard.press('ArrowRight');
  await idle(page);
  await expect(line).not.toHaveAttribute('d', before ?? '');
  for (let press = 0; press < 12; press++) await page.keyboard.press('ArrowLeft');
  await idle(page);
  await expect(line).toHaveAttribute('d', before ?? '');
});

test('the brushed view is accessible at every size and in both colour schemes', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  await page.getByRole('checkbox', { name: /^count:/ }).click();
  await chart(page, 'entropy').getByRole('slider', { name: 'Read Entropy at' }).focus();
  await page.keyboard.press('Enter');
  await idle(page);
  await expectAccessible(page);
});

test('the evidence next to an answer is accessible', async ({ page }) => {
  await openPage(page);
  await openEvidence(page);
  await expectAccessible(page, '.trust-panel');
});
