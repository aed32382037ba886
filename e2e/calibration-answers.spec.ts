import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from '@playwright/test';
import { tableFromIPC } from 'apache-arrow';
import { parseImageIndex } from '../src/contract/image-index';
import { ask, expect, openPage, stageTitle, test, tokens } from './page';

const folder = path.join(import.meta.dirname, '../public/datasets/patchlight-scenes');
const testedRows = [3, 4_444, 8_008, 10_187];

interface StoredAnswer {
  readonly image: string;
  readonly question: string;
  readonly answer: string;
  readonly logProbs: readonly number[];
  readonly entropySum: readonly number[];
  readonly entropyBernoulli: readonly number[];
}

interface SavedMap {
  readonly answer: string;
  readonly tokens: readonly { readonly logProb: number }[];
  readonly values: readonly (readonly number[])[];
}

test('a calibration image and its question give the stored answer and entropy', async ({ page }) => {
  const table = tableFromIPC(readFileSync(path.join(folder, 'calibration.arrow')));
  await openPage(page);
  for (const row of testedRows) {
    const stored = storedAnswer(table.get(row)?.toJSON());
    const name = path.basename(stored.image);
    await page
      .locator('input[type="file"]')
      .setInputFiles({ name, mimeType: 'image/webp', buffer: readImage(stored.image) });
    await expect(stageTitle(page)).toHaveText(name);
    await ask(page, stored.question);
    await tokens(page).last().click();
    const saved = await saveMap(page);
    expect(saved.answer.trim(), stored.question).toBe(stored.answer);
    // WASM adds numbers in a different order than the runtime that made the calibration.
    expect(saved.tokens[0]?.logProb).toBeCloseTo(stored.logProbs.at(-1) ?? Number.NaN, 3);
    const values = saved.values.flat();
    expect(sumNormalised(values)).toBeCloseTo(stored.entropySum.at(-1) ?? Number.NaN, 3);
    expect(bernoulli(values)).toBeCloseTo(stored.entropyBernoulli.at(-1) ?? Number.NaN, 3);
  }
});

function readImage(name: string): Buffer {
  const { images } = parseImageIndex(JSON.parse(readFileSync(path.join(folder, 'images.json'), 'utf8')));
  const entry = images[name];
  if (entry === undefined) throw new Error(`images.json does not list ${name}`);
  return readFileSync(path.join(folder, 'images.bin')).subarray(entry.offset, entry.offset + entry.bytes);
}

function storedAnswer(row: Record<string, unknown> | undefined): StoredAnswer {
  const numbers = (name: string) => Array.from(row?.[name] as Iterable<number>);
  return {
    image: String(row?.image),
    question: String(row?.question),
    answer: String(row?.answer),
    logProbs: numbers('logProbs'),
    entropySum: numbers('entropySum'),
    entropyBernoulli: numbers('entropyBernoulli'),
  };
}

async function saveMap(page: Page): Promise<SavedMap> {
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'JSON', exact: true }).click();
  return JSON.parse(readFileSync(await (await download).path(), 'utf8'));
}

const xlogx = (x: number) => (x > 0 ? x * Math.log(x) : 0);

function sumNormalised(values: readonly number[]): number {
  const total = values.reduce((sum, x) => sum + x, 0);
  return -values.reduce((sum, x) => sum + xlogx(x / total), 0);
}

function bernoulli(values: readonly number[]): number {
  return -values.reduce((sum, p) => sum + xlogx(p) + xlogx(1 - p), 0) / values.length;
}
