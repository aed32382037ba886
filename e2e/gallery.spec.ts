import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, type Page, test } from '@playwright/test';
import { build, type PreviewServer, preview } from 'vite';
import { withGoldens } from './shot';

// Tests the gallery of marks, which needs no model. `npm run goldens` retakes its screenshots.

// One worker: the tests share the server and the page.
test.describe.configure({ mode: 'default' });

/** The themes in which each mark is compared. Dark is included only if the theme sets the data's colours. */
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
  intervals: ['light'],
  'cost-chart': ['light', 'dark'],
};

/** Saved charts use the system's fonts, so their pixels differ between machines. */
const withoutGolden = ['chart-file'];

const drawings = '.gallery-drawing';
const pageErrors: string[] = [];
let outDir: string;
let server: PreviewServer;
let page: Page;

test.beforeAll(async ({ browser }) => {
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
    if (message.type() === 'error') pageErrors.push(message.text());
  });
  page.on('pageerror', (error) => pageErrors.push(error.message));
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

/** Hides the other marks: if one grew, it could shift this one by a fraction of a pixel and change the screenshot. */
function showAlone(name: string): void {
  for (const mark of document.querySelectorAll<HTMLElement>('.gallery-mark')) {
    mark.hidden = mark.querySelector('[data-name]')?.getAttribute('data-name') !== name;
  }
}

const shownNames = () =>
  page.locator(drawings).evaluateAll((all) => all.map((drawing) => (drawing as HTMLElement).dataset.name));

test('the gallery shows every mark without errors', async () => {
  expect(await shownNames()).toEqual([...Object.keys(goldens), ...withoutGolden]);
  await expect(page.locator('.gallery-figure canvas')).toBeVisible();
  await expect(page.locator('.gallery-file')).toBeVisible();
  expect(pageErrors).toEqual([]);
});

for (const colorScheme of ['light', 'dark'] as const) {
  for (const name of Object.keys(goldens).filter((mark) => goldens[mark]!.includes(colorScheme))) {
    test(`mark ${name}, ${colorScheme}`, withGoldens, async () => {
      const golden = `mark-${name}-${colorScheme}.png`;
      await page.emulateMedia({ colorScheme });
      await page.evaluate(showAlone, name);
      const drawing = page.locator(`${drawings}[data-name="${name}"]`);
      await test.step(golden, () => expect(drawing).toHaveScreenshot(golden));
    });
  }
}

test('the address selects one mark and a theme', async () => {
  await open('?mark=density&theme=dark');
  expect(await shownNames()).toEqual(['density']);
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await page.getByRole('link', { name: 'brush' }).click();
  await expect(page).toHaveURL(/\?mark=brush&theme=dark$/);
  await expect.poll(shownNames).toEqual(['brush']);
});

test('the brush in the gallery responds to keys', async () => {
  await open('?mark=brush');
  const low = page.getByRole('slider', { name: 'Entropy, from' });
  await low.focus();
  await low.press('ArrowRight');
  await expect(low).not.toHaveAttribute('aria-valuenow', '4.9');
  expect(pageErrors).toEqual([]);
});
