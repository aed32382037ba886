// What a visitor does, the same in every browser: load twice, ask, select tokens, save maps, ask about own images,
// compare methods, brush.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect } from '@playwright/test';
import type { EnginePage } from './engine-page';

/** Loading takes 3 s on an idle machine. */
const idleTimeoutMs = 120_000;

const question = 'What color is the large sphere?';
const tokenCount = 3;

/** Images that browsers decode differently if left to themselves: transparent, with a colour profile, turned by EXIF. */
const pictures = ['rgba.png', 'lossy-alpha.webp', 'rgb-profile.png', 'profile.jpg', 'orientation-6.webp'];
const pictureFolder = path.join(import.meta.dirname, '../../src/inference/fixtures/pictures');

/** A map as saved by the page. */
export interface SavedMap {
  readonly method: string;
  readonly threshold: number;
  readonly values: readonly (readonly number[])[];
  readonly answer: string;
  readonly tokens: readonly { readonly text: string; readonly logProb: number }[];
}

export interface WalkResult {
  /** The sentence next to the answer: how often similar answers were right. */
  readonly sentence: string;
  readonly maps: readonly SavedMap[];
  /** RGB bytes of each image as the page shows it. */
  readonly pictures: Readonly<Record<string, readonly number[]>>;
  /** A chart's numbers, as saved. */
  readonly density: readonly (readonly number[])[];
  readonly answersBefore: number;
  readonly answersBrushed: number;
  readonly log: readonly string[];
}

export async function walk(page: EnginePage, url: string): Promise<WalkResult> {
  const log: string[] = [];
  const takeLog = async () => void log.push(...(await page.call(() => window.pageLog?.splice(0) ?? ['no log'])));

  await page.goto(url);
  await idle(page);
  await expectReady(page);
  await takeLog();
  await page.reload();
  await idle(page);
  await expectReady(page);

  await page.click('.ask-input');
  await page.type(question);
  await page.press('Enter');
  await expect.poll(() => textOf(page, '.answer-question')).toBe(question);
  await idle(page);
  const maps: SavedMap[] = [];
  for (let index = 0; index < tokenCount; index++) {
    await page.click(`[data-token="${index}"]`);
    await expect.poll(() => selectedTokens(page)).toEqual([index]);
    maps.push(parseMap(await saved(page, exportButton('JSON'), '.json')));
  }
  const sentence = await textOf(page, '.trust-sentence');
  const csv = await saved(page, exportButton('CSV'), '.csv');
  expect(csv.toString()).toContain('row,col,relevancy,rank,at_or_above_threshold');
  const png = await saved(page, exportButton('PNG'), '.png');
  expect(png.subarray(1, 4).toString()).toBe('PNG');

  const shown: Record<string, readonly number[]> = {};
  for (const name of pictures) {
    await page.choose('input[type="file"]', path.join(pictureFolder, name));
    await expect.poll(() => textOf(page, '.readout-title')).toBe(name);
    await page.click('.ask-button[type="submit"]');
    await expect.poll(() => textOf(page, '.readout-title'), { timeout: idleTimeoutMs }).toMatch(/^Map of /);
    await idle(page);
    shown[name] = await page.call(shownPixels);
    maps.push(parseMap(await saved(page, exportButton('JSON'), '.json')));
  }

  await page.click('.page-nav a[href*="compare"]');
  await idle(page);
  const chefer = '[data-panel="chefer"]';
  await expect.poll(() => textOf(page, chefer), { timeout: idleTimeoutMs }).toContain('tokens done');
  maps.push(parseMap(await saved(page, `${chefer} ${exportButton('JSON')}`, '.json')));

  await page.click('.page-nav a[href*="trust"]');
  await idle(page);
  const answersBefore = await answerCount(page);
  const chart = '[data-chart="entropy"]';
  await page.click(`${chart} .chart-tool[aria-label^="Save"]`);
  const density = numbersOf(await saved(page, '.menu-item[data-key="csv"]', '.csv'));
  const { x, y, width } = await boxOf(page, `${chart} [aria-label^="Read"]`);
  await page.drag({ x: x + 0.2 * width, y: y + 30 }, { x: x + 0.5 * width, y: y + 30 });
  await expect.poll(() => answerCount(page)).toBeLessThan(answersBefore);
  await idle(page);
  const answersBrushed = await answerCount(page);
  await takeLog();
  return { sentence, maps, pictures: shown, density, answersBefore, answersBrushed, log };
}

const textOf = (page: EnginePage, selector: string) =>
  page.call((css) => document.querySelector<HTMLElement>(css)?.innerText ?? '', selector);

/** Waits until the page is idle: see src/views/app/idle-signal.tsx. */
async function idle(page: EnginePage): Promise<void> {
  const signal = () => page.call(() => document.documentElement.dataset.idle);
  await expect.poll(signal, { message: 'the page is idle', timeout: idleTimeoutMs }).toBe('true');
}

async function expectReady(page: EnginePage): Promise<void> {
  expect(await textOf(page, '.status')).toContain('is ready on this page');
  expect(await textOf(page, '.answer-question')).not.toBe('');
  expect(await textOf(page, '.trust-sentence')).toMatch(/^Of [\d,]+ answers like this one/);
}

/** Runs in the page: draws the image on the stage at its own size. */
function shownPixels(): number[] {
  const image = document.querySelector<HTMLImageElement>('.stage-image')!;
  const canvas = document.createElement('canvas');
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext('2d')!;
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return Array.from(data).filter((_, i) => i % 4 < 3);
}

const selectedTokens = (page: EnginePage) =>
  page.call(() =>
    Array.from(document.querySelectorAll<HTMLElement>('[data-token][aria-selected="true"]'), ({ dataset }) =>
      Number(dataset.token),
    ),
  );

async function answerCount(page: EnginePage): Promise<number> {
  return Number((await textOf(page, '.samples-count strong')).replaceAll(',', ''));
}

/** Returns where an element is in the viewport, after scrolling to it. */
const boxOf = (page: EnginePage, selector: string) =>
  page.call((css) => {
    const element = document.querySelector(css);
    if (element === null) throw new Error(`no ${css}`);
    element.scrollIntoView({ block: 'center' });
    const { x, y, width, height } = element.getBoundingClientRect();
    return { x, y, width, height };
  }, selector);

const exportButton = (format: 'PNG' | 'CSV' | 'JSON') =>
  `.export .link-button:nth-of-type(${['PNG', 'CSV', 'JSON'].indexOf(format) + 1})`;

/** Clicks something that saves a file, and returns its content. */
async function saved(page: EnginePage, selector: string, suffix: string): Promise<Buffer> {
  const before = new Set(readdirSync(page.downloads));
  // Without a pointer, which could miss: WebKit's test browser shrinks the page for each file that it lists below it.
  await page.call((css) => document.querySelector<HTMLElement>(css)!.click(), selector);
  let content = Buffer.alloc(0);
  await expect
    .poll(
      () => {
        const added = readdirSync(page.downloads).filter((name) => !before.has(name) && !name.startsWith('.'));
        // While a file is being written, browsers keep it under another name, some next to an empty one.
        const name = added.find((other) => other.startsWith('patchlight-') && other.endsWith(suffix));
        if (name === undefined || added.length > 1) return 0;
        const file = path.join(page.downloads, name);
        content = readFileSync(file);
        // Browsers overwrite a file of the same name or choose another name.
        if (content.length > 0) rmSync(file);
        return content.length;
      },
      { message: `a file ${suffix} is saved` },
    )
    .toBeGreaterThan(0);
  return content;
}

function parseMap(content: Buffer): SavedMap {
  return JSON.parse(content.toString());
}

/** The numbers of a saved chart, row by row; notes start with `#`. */
function numbersOf(csv: Buffer): number[][] {
  const [, ...rows] = csv
    .toString()
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('#'));
  return rows.map((row) => row.split(',').map(Number));
}
