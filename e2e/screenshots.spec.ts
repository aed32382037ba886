import type { Page } from '@playwright/test';
import {
  ask,
  boxOf,
  chooseDisk,
  expect,
  idle,
  message,
  openPage,
  openWithoutModel,
  patches,
  questionBox,
  test,
  token,
} from './page';
import { shot, withGoldens } from './shot';
import { twoFramesRun } from './two-frames';

const region = (page: Page, name: string) => page.getByRole('region', { name, exact: true });

test('the page with its example', withGoldens, async ({ page }) => {
  await openPage(page);
  await shot(page, 'whole-page', ['desktop', 'light'], { isFullPage: true });
  await shot(page, 'whole-page', ['phone', 'light'], { isFullPage: true });
  await shot(page, 'first-look', ['desktop', 'dark']);
  const parts = {
    gallery: page.locator('.gallery'),
    stage: page.locator('.explain-figure'),
    tray: page.getByRole('group', { name: 'Image to ask about' }),
  };
  for (const [name, part] of Object.entries(parts))
    await shot(page, `pictures-${name}`, ['phone', 'light'], { region: part, images: 'real' });
});

test('the evidence next to an answer', withGoldens, async ({ page }) => {
  await openPage(page);
  await page.getByRole('button', { name: 'Show the evidence' }).click();
  await idle(page);
  const panel = page.locator('.trust-panel');
  await shot(page, 'trust-evidence', ['desktop', 'light'], { region: panel });
  await shot(page, 'trust-evidence', ['phone', 'light'], { region: panel });
});

test('several selected tokens and a picked patch', withGoldens, async ({ page }) => {
  await openWithoutModel(page);
  await token(page, 2).click();
  await token(page, 4).click({ modifiers: ['Shift'] });
  const peak = /r(\d+) c(\d+)/.exec(await page.locator('.readout-numbers').innerText());
  const box = await boxOf(patches(page));
  if (peak === null) throw new Error('the map has no peak');
  await page.mouse.click(
    box.x + ((Number(peak[2]) - 0.5) / 24) * box.width,
    box.y + ((Number(peak[1]) - 0.5) / 24) * box.height,
  );
  const stage = page.locator('.explain-figure');
  const answer = region(page, 'Answer');
  await shot(page, 'picked-patch-map', ['desktop', 'light'], { region: stage });
  await shot(page, 'picked-patch-answer', ['desktop', 'light'], { region: answer });
  await shot(page, 'picked-patch-map', ['desktop', 'dark'], { region: stage });
  await shot(page, 'picked-patch-answer', ['phone', 'light'], { region: answer });
});

test('an uploaded wide image, and a question with unknown words', withGoldens, async ({ page }) => {
  await openPage(page);
  await chooseDisk(page, 'wide.png', 900, 450);
  await expect(page.locator('.readout-title')).toHaveText('wide.png');
  await ask(page, 'What color is the sphere?');
  const options = { images: 'real' } as const;
  await shot(page, 'oblong', ['desktop', 'light'], { ...options, region: page.locator('.explain-figure') });
  await shot(page, 'oblong', ['phone', 'light'], options);

  await questionBox(page).fill('What color is the giraffe?');
  await questionBox(page).press('Enter');
  await expect(message(page)).not.toBeEmpty();
  const form = page.locator('.ask');
  await shot(page, 'unknown-words', ['desktop', 'light'], { region: form });
  await shot(page, 'unknown-words', ['phone', 'light'], { region: form });
});

test('a run with two frames', withGoldens, async ({ page }) => {
  await openWithoutModel(page);
  const file = { name: 'colleague.run', mimeType: 'application/octet-stream', buffer: twoFramesRun() };
  await page.locator('input[type="file"]').setInputFiles(file);
  await page.getByRole('radio', { name: /Overview/ }).click();
  const stage = page.locator('.explain-left');
  await shot(page, 'two-frames', ['desktop', 'light'], { region: stage, images: 'real' });
  await shot(page, 'two-frames', ['phone', 'light'], { images: 'real' });
});

test.describe('the comparison', () => {
  async function openCompare(page: Page, settings = ''): Promise<void> {
    await openPage(page, `/?view=compare${settings}`);
  }

  test('of two methods', withGoldens, async ({ page }) => {
    await openCompare(page);
    await shot(page, 'compare-two-panels', ['desktop', 'light'], { region: page.locator('main') });
    await shot(page, 'compare-two-panels', ['phone', 'light']);
  });

  test('of three and four methods', withGoldens, async ({ page }) => {
    const panels = page.locator('.panels');
    await openCompare(page, '&methods=fastrm,tam,dex-ar');
    await shot(page, 'compare-three-panels', ['desktop', 'light'], { region: panels });
    await openCompare(page, '&methods=fastrm,rollout,tam,dex-ar');
    await shot(page, 'compare-four-panels', ['desktop', 'light'], { region: panels });
    await shot(page, 'compare-four-panels', ['phone', 'light'], { region: panels });
  });

  test('by ranks, zoomed in, with a picked patch', withGoldens, async ({ page }) => {
    await openCompare(page, '&methods=fastrm,tam&values=rank');
    await page
      .getByRole('grid')
      .last()
      .click({ position: { x: 200, y: 180 } });
    await page.getByRole('button', { name: 'Zoom in' }).click();
    const difference = region(page, 'Difference');
    await shot(page, 'compare-difference', ['desktop', 'light'], { region: difference });
    await shot(page, 'compare-difference', ['desktop', 'dark'], { region: difference });
    await shot(page, 'compare-difference', ['phone', 'light'], { region: difference });
  });

  test('of all tokens', withGoldens, async ({ page }) => {
    await openCompare(page, '&run=run-3.run&strip=tam&methods=fastrm,tam');
    await token(page, 8).click();
    await idle(page);
    const strip = region(page, 'All tokens');
    await shot(page, 'compare-strip', ['desktop', 'light'], { region: strip });
    await shot(page, 'compare-strip', ['phone', 'light'], { region: strip });
  });
});

test('the Trust view, plain and brushed', withGoldens, async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  const main = page.locator('main');
  await shot(page, 'trust', ['desktop', 'light'], { region: main });
  await shot(page, 'trust', ['phone', 'light']);

  const chart = page.locator('[data-chart="entropy"]');
  await page.setViewportSize({ width: 1440, height: 900 });
  await chart.getByRole('slider', { name: /^Read/ }).focus();
  for (const key of ['End', 'PageDown', 'Enter']) await page.keyboard.press(key);
  await chart.getByRole('slider', { name: /, from$/ }).focus();
  await page.keyboard.press('PageDown');
  await page.getByRole('checkbox', { name: /^vqa-like/ }).click();
  await idle(page);
  await expect(page.locator('.samples-row').first()).toBeVisible();
  await shot(page, 'trust-brushed-samples', ['desktop', 'light'], { region: page.locator('.samples') });
});
