import type { Page } from '@playwright/test';
import { ask, expect, idle, message, openPage, patches, questionBox, test, token } from './page';
import { diskPng } from './pictures';
import { twoFramesRun } from './two-frames';

// npx playwright test screenshots --update-snapshots rewrites the goldens.
const sizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

/** Measured times differ from run to run, and so would the width of what hides them. */
function freezeTimes(): void {
  for (const element of document.querySelectorAll('[data-volatile]')) element.textContent = '0 ms';
}

const views: Record<string, (page: Page) => Promise<void>> = {
  'first-look': async () => {},
  'whole-page': async () => {},
  'picked-patch': async (page) => {
    await token(page, 2).click();
    await token(page, 4).click({ modifiers: ['Shift'] });
    const peak = /r(\d+) c(\d+)/.exec(await page.locator('.readout-numbers').innerText());
    const box = await patches(page).boundingBox();
    if (box === null || peak === null) throw new Error('there is no map');
    await page.mouse.click(
      box.x + ((Number(peak[2]) - 0.5) / 24) * box.width,
      box.y + ((Number(peak[1]) - 0.5) / 24) * box.height,
    );
    await page.mouse.move(0, 0);
  },
  oblong: async (page) => {
    await page.locator('input[type="file"]').setInputFiles({
      name: 'wide.png',
      mimeType: 'image/png',
      buffer: diskPng(900, 450, [200, 40, 30]),
    });
    await expect(page.locator('.readout-title')).toHaveText('wide.png');
    await ask(page, 'What color is the sphere?');
    await page.evaluate(() => window.scrollTo(0, 0));
  },
  'two-frames': async (page) => {
    const file = { name: 'colleague.run', mimeType: 'application/octet-stream', buffer: twoFramesRun() };
    await page.locator('input[type="file"]').setInputFiles(file);
    await page.getByRole('radio', { name: /Overview/ }).click();
    await page.evaluate(() => window.scrollTo(0, 0));
  },
  'unknown-words': async (page) => {
    await questionBox(page).fill('What color is the giraffe?');
    await questionBox(page).press('Enter');
    await expect(message(page)).not.toBeEmpty();
  },
};

for (const [view, arrange] of Object.entries(views)) {
  for (const [size, viewport] of Object.entries(sizes)) {
    for (const colorScheme of ['light', 'dark'] as const) {
      test(`${view}, ${size}, ${colorScheme}`, async ({ page }) => {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        await openPage(page);
        await arrange(page);
        await page.evaluate(freezeTimes);
        await expect(page).toHaveScreenshot(`${view}-${size}-${colorScheme}.png`, {
          fullPage: view === 'whole-page',
        });
      });
    }
  }
}

interface Comparison {
  readonly address: string;
  readonly shots: readonly (readonly [keyof typeof sizes, 'light' | 'dark'])[];
  arrange?(page: Page): Promise<void>;
}

/** On a phone the second panel is far below the answer. */
const showSecond = (page: Page) =>
  page
    .locator('.panel')
    .nth(1)
    .evaluate((panel) => {
      if (window.innerWidth < 1000) panel.scrollIntoView();
    });

const everyShot: Comparison['shots'] = [
  ['desktop', 'light'],
  ['desktop', 'dark'],
  ['phone', 'light'],
  ['phone', 'dark'],
];

const comparisons: Record<string, Comparison> = {
  'two-panels': {
    address: '',
    shots: everyShot,
    arrange: showSecond,
  },
  'three-panels': { address: '&methods=fastrm,tam,dex-ar', shots: [everyShot[0]!, everyShot[3]!], arrange: showSecond },
  'four-panels': {
    address: '&methods=fastrm,rollout,tam,dex-ar',
    shots: [everyShot[1]!, everyShot[2]!],
    arrange: showSecond,
  },
  difference: {
    address: '&methods=fastrm,tam&values=rank',
    shots: everyShot,
    arrange: async (page) => {
      await page
        .getByRole('grid')
        .last()
        .click({ position: { x: 200, y: 180 } });
      await page.getByRole('button', { name: 'Zoom in' }).click();
      await page.mouse.move(0, 0);
      await page.getByRole('region', { name: 'Difference' }).evaluate((panel) => panel.scrollIntoView());
    },
  },
  strip: {
    address: '&run=run-3.run&strip=tam&methods=fastrm,tam',
    shots: everyShot,
    arrange: async (page) => {
      await token(page, 8).click();
      await idle(page);
      await page.mouse.move(0, 0);
      await page.getByRole('region', { name: 'All tokens' }).evaluate((part) => part.scrollIntoView());
    },
  },
};

for (const [view, { address, shots, arrange }] of Object.entries(comparisons)) {
  for (const [size, colorScheme] of shots) {
    test(`comparison, ${view}, ${size}, ${colorScheme}`, async ({ page }) => {
      await page.setViewportSize(sizes[size]);
      await page.emulateMedia({ colorScheme });
      await openPage(page, `/?view=compare${address}`);
      await arrange?.(page);
      await page.evaluate(freezeTimes);
      await expect(page).toHaveScreenshot(`compare-${view}-${size}-${colorScheme}.png`);
    });
  }
}
