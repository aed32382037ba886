import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, test } from '@playwright/test';
import { type PreviewServer, preview } from 'vite';
import { findBrowser } from '../../scripts/browser.mjs';
import { findEngines } from '../../scripts/engines.mjs';
import { root } from '../../scripts/shell.mjs';
import type { EnginePage } from './engine-page';
import { pageLog } from './page-log';
import { openChromium, openFirefox } from './puppeteer-page';
import { type SavedMap, type WalkResult, walk } from './walk';
import { openWebKit } from './webkit-page';

/** Engines differ only in how they sum floating-point numbers on several threads. */
const tolerance = 1e-4;

/** In steps of a colour channel, for lossy images. */
const pixelTolerance = 2;
const committed: Readonly<Record<string, { readonly rgb: string }>> = JSON.parse(
  readFileSync(path.join(root, 'src/inference/fixtures/pictures/pixels.json'), 'utf8'),
);

const engines = findEngines();
let server: PreviewServer;
let url: string;
let downloads: string;
let expected: WalkResult;

// Chromium's walk comes first: the other engines' numbers are compared with it.
test.describe.configure({ mode: 'serial' });

test.beforeAll(async () => {
  downloads = mkdtempSync(path.join(os.tmpdir(), 'patchlight-engines-'));
  mkdirSync(path.join(downloads, 'home'));
  const configFile = path.join(root, 'vite.config.ts');
  server = await preview({ root, configFile, logLevel: 'error', plugins: [pageLog()], preview: { port: 0 } });
  url = server.resolvedUrls?.local[0] ?? '';
});

test.afterAll(async () => {
  await server.close();
  rmSync(downloads, { recursive: true, force: true });
});

async function walkIn(opening: Promise<EnginePage>): Promise<WalkResult> {
  const page = await opening;
  try {
    const result = await walk(page, url);
    expect(result.log, `errors in ${page.name}`).toEqual([]);
    for (const [name, shown] of Object.entries(result.pictures)) {
      const pixels = Array.from(Buffer.from(committed[name]!.rgb, 'base64'));
      const allowed = name.endsWith('.png') ? 0 : pixelTolerance;
      expect(largestDifference([shown], [pixels]), `${name} as shown in ${page.name}`).toBeLessThanOrEqual(allowed);
    }
    return result;
  } catch (error) {
    await page.screenshot(test.info().outputPath('page.png'));
    throw error;
  } finally {
    await page.close();
  }
}

test('Chromium', async () => {
  expected = await walkIn(openChromium((await findBrowser()) ?? '', downloads));
  expect(new Set(expected.maps.map(({ method }) => method)).size).toBe(2);
  expect(expected.density.length).toBeGreaterThan(10);
});

test('Firefox', async () => {
  test.skip(engines.firefox === undefined, 'Firefox is not installed');
  expectSame(await walkIn(openFirefox(engines.firefox ?? '', downloads)));
});

test('WebKit', async () => {
  test.skip(engines.webkit === undefined, 'WebKit is not installed');
  expectSame(await walkIn(openWebKit(engines.webkit!)));
});

function expectSame(actual: WalkResult): void {
  expect(actual.sentence).toBe(expected.sentence);
  expect(actual.answersBefore).toBe(expected.answersBefore);
  expect(largestDifference(actual.density, expected.density), 'density').toBeLessThan(tolerance);
  expect(actual.maps).toHaveLength(expected.maps.length);
  for (const [i, map] of actual.maps.entries()) {
    const reference = expected.maps[i]!;
    const label = `map ${i}, ${reference.method}`;
    expect(factsOf(map), label).toEqual(factsOf(reference));
    expect(largestDifference(map.values, reference.values), label).toBeLessThan(tolerance);
    expect(Math.abs(map.threshold - reference.threshold), label).toBeLessThan(tolerance);
    expect(largestDifference([logProbs(map)], [logProbs(reference)]), label).toBeLessThan(tolerance);
  }
}

const factsOf = ({ method, answer, tokens }: SavedMap) => ({ method, answer, tokens: tokens.map(({ text }) => text) });
const logProbs = ({ tokens }: SavedMap) => tokens.map(({ logProb }) => logProb);

function largestDifference(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number {
  const [actual, reference] = [a.flat(), b.flat()];
  expect(actual).toHaveLength(reference.length);
  return Math.max(...actual.map((value, i) => Math.abs(value - reference[i]!)));
}
