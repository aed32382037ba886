import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, type Page, test } from '@playwright/test';
import { build, type PreviewServer, preview } from 'vite';
import { withGoldens } from './shot';

// The gallery of marks, built for these tests. All screenshots are of one page, which needs no model.
// `npm run goldens` retakes them.

// One worker: the tests share the server and the page.
test.describe.configure({ mode: 'default' });

/** Dark as well where the theme decides the colours of the data. */
const goldens: Readonly<Record<string, readonly ('light' | 'dark')[]>> = {
  heatmap: ['light'],
  outline: ['light'],
  signs: ['light'],
  legend: ['light'],
  zoom: ['light'],
  figure: ['light'],
  axis: ['light'],
  density: ['light', 'dark'],
  histogram: ['light'],
  brush: ['light', 'dark'],
  categories: ['light'],
  curve: ['light'],
  'cost-chart': ['light', 'dark'],
};

/** A saved chart is drawn with the system's fonts, so its pixels differ from one machine to the next. */
const withoutGolden = ['chart-file'];

const drawings = '.gallery-drawing';
const faults: string[] = [];
let outDir: string;
let server: PreviewServer;
let page: Page;

test.beforeAll(async ({ browser }) => {
  // It builds; on a busy machine that takes a while.
  test.setTimeout(180_000);
  outDir = await mkdtemp(path.join(os.tmpdir(), 'patchlight-gallery-'));
  await build({
    logLevel: 'error',
    build: {
      outDir,
      emptyOutDir: true,
      copyPublicDir: false,
      minify: false,
      rolldownOptions: { input: 'gallery.html' },
    },
  });
  server = await preview({ logLevel: 'error', build: { outDir }, preview: { port: 0 } });
  page = await browser.newPage({ viewport: { width: 1280, height: 900 }, reducedMotion: 'reduce' });
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(error.message));
  await open('');
});

test.afterAll(async () => {
  await page?.close();
  await server?.close();
  await rm(outDir, { recursive: true, force: true });
});

async function open(query: string): Promise<void> {
  const [url] = server.resolvedUrls?.local ?? [];
  await page.goto(`${url}gallery.html${query}`);
  await expect(page.locator(drawings).first()).toBeVisible();
  await page.evaluate(async () => {
    await document.fonts.ready;
  });
}

/** A mark that grows would move the others by parts of a pixel, and change their screenshots. */
function showAlone(name: string): void {
  for (const mark of document.querySelectorAll<HTMLElement>('.gallery-mark')) {
    mark.hidden = mark.querySelector('[data-name]')?.getAttribute('data-name') !== name;
  }
}

const namesShown = () =>
  page.locator(drawings).evaluateAll((all) => all.map((each) => (each as HTMLElement).dataset.name));

test('the gallery shows each mark, without an error', async () => {
  expect(await namesShown()).toEqual([...Object.keys(goldens), ...withoutGolden]);
  await expect(page.locator('.gallery-figure canvas')).toBeVisible();
  await expect(page.locator('.gallery-file')).toBeVisible();
  expect(faults).toEqual([]);
});

for (const colorScheme of ['light', 'dark'] as const) {
  for (const name of Object.keys(goldens).filter((each) => goldens[each]!.includes(colorScheme))) {
    test(`mark ${name}, ${colorScheme}`, withGoldens, async () => {
      const golden = `mark-${name}-${colorScheme}.png`;
      await page.emulateMedia({ colorScheme });
      await page.evaluate(showAlone, name);
      const drawing = page.locator(`${drawings}[data-name="${name}"]`);
      await test.step(golden, () => expect(drawing).toHaveScreenshot(golden));
    });
  }
}

test('an address names one mark and a theme', async () => {
  await open('?mark=density&theme=dark');
  expect(await namesShown()).toEqual(['density']);
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await page.getByRole('link', { name: 'brush' }).click();
  await expect(page).toHaveURL(/\?mark=brush&theme=dark$/);
  await expect.poll(namesShown).toEqual(['brush']);
});

test('the brush of the gallery works', async () => {
  await open('?mark=brush');
  const low = page.getByRole('slider', { name: 'Entropy, from' });
  await low.focus();
  await low.press('ArrowRight');
  await expect(low).not.toHaveAttribute('aria-valuenow', '4.9');
  expect(faults).toEqual([]);
});
