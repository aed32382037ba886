import type { Page } from '@playwright/test';
import { boxOf, expect, mapPixels, openWithoutModel, patches, readout, test, token } from './page';
import { peaks, twoFramesRun } from './two-frames';

/** Opens a run file of a model that reads an image as a detail frame and an overview frame. */
async function openTwoFrames(page: Page, path = '/'): Promise<void> {
  await openWithoutModel(page, path);
  const file = { name: 'colleague.run', mimeType: 'application/octet-stream', buffer: twoFramesRun() };
  await page.locator('input[type="file"]').setInputFiles(file);
  await expect(page.locator('.answer-question')).toHaveText('What is in the middle?');
  await token(page, 0).click();
}

const frames = (page: Page) => page.getByRole('radiogroup', { name: 'Frame shown' });
const peakText = ({ row, col }: { row: number; col: number }) => `peak 0.90 at r${row + 1} c${col + 1}`;

test('a run with one frame offers no choice of frame', async ({ page }) => {
  await openWithoutModel(page);
  await expect(frames(page)).toHaveCount(0);
});

test('the detail frame is shown first, and the overview has its own grid, position and values', async ({ page }) => {
  await openTwoFrames(page);
  await expect(readout(page)).toHaveText(peakText(peaks.detail));
  await expect(page.locator('.legend-count')).toContainText('of 288 patches');
  await expect.poll(() => mapPixels(page)).toHaveLength(12 * 24 * 4);
  const box = await boxOf(patches(page));
  expect(box.width / box.height).toBeCloseTo(2, 1);

  await patches(page).click({ position: { x: 5, y: 5 } });
  await expect(page.locator('.readout-note')).toContainText('r1 c1');
  await frames(page).getByRole('radio', { name: 'Overview, 6 × 6' }).click();
  await expect(page.locator('.readout-note'), 'the picked patch belongs to the other grid').not.toContainText('r1 c1');
  await page.mouse.move(0, 0);
  await expect(readout(page)).toHaveText(peakText(peaks.overview));
  await expect(page.locator('.legend-count')).toContainText('of 36 patches');
  await expect.poll(() => mapPixels(page)).toHaveLength(6 * 6 * 4);
  const square = await boxOf(patches(page));
  expect(square.width / square.height).toBeCloseTo(1, 1);
  // The overview includes the padding above and below the image, and the stage makes room for it.
  const image = await boxOf(page.locator('.stage-image'));
  expect(square.height).toBeCloseTo(image.height * 2, 0);
  expect(image.y - square.y).toBeCloseTo(image.height / 2, 0);
});

test('picking a patch of the overview lists the tokens that rest on it', async ({ page }) => {
  await openTwoFrames(page, '/?frame=overview');
  const box = await boxOf(patches(page));
  const at = (index: number) => (index + 0.5) / 6;
  await patches(page).click({
    position: { x: at(peaks.overview.col) * box.width, y: at(peaks.overview.row) * box.height },
  });
  const { row, col } = peaks.overview;
  await expect(page.locator('.readout-note')).toContainText(
    `Words that used r${row + 1} c${col + 1}: blue 0.90, disk 0.90`,
  );
  await expect(page.locator('.token[data-marked]')).toHaveCount(2);
});

test('the frame can be chosen by keyboard, and the address keeps it', async ({ page }) => {
  await openTwoFrames(page);
  await frames(page)
    .getByRole('radio', { name: /Detail/ })
    .focus();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Space');
  await expect(readout(page)).toHaveText(peakText(peaks.overview));
  await expect(page).toHaveURL(/frame=overview/);
  await frames(page)
    .getByRole('radio', { name: /Detail/ })
    .click();
  await expect(page).not.toHaveURL(/frame=/);
});

test('of two images, the one on which the map of the chosen word peaks is shown, with its own frames', async ({
  page,
}) => {
  await openWithoutModel(page);
  await page.locator('input[type="file"]').setInputFiles('src/contract/fixtures/two-images.run');
  await expect(page.locator('.answer-question')).toHaveText('What is different?');
  const images = page.getByRole('group', { name: 'Image shown' });
  await token(page, 0).click();
  await expect(readout(page)).toHaveText('peak 0.75 at r2 c2');
  await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image 1: before.png');
  await expect(frames(page), 'this image has one frame').toHaveCount(0);

  await token(page, 1).click();
  await expect(readout(page)).toHaveText('peak 0.88 at r2 c1');
  await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image 2: after.png');
  await frames(page).getByRole('radio', { name: 'Overview, 1 × 1' }).click();
  await expect(readout(page)).toHaveText('peak 0.50 at r1 c1');

  await patches(page).click();
  await expect(page.locator('.readout-note')).toContainText('Words that used r1 c1');
  await images.getByRole('button', { name: 'Image 1' }).click();
  await expect(page.locator('.readout-note'), 'the patch is one of the other image').not.toContainText('r1 c1');
  await expect(readout(page)).toHaveText('peak 0.25 at r2 c2');
});

test('provenance includes the precision and the sampling settings', async ({ page }) => {
  await openTwoFrames(page);
  await expect(page.locator('.provenance')).toContainText('bfloat16');
  await expect(page.locator('.provenance')).toContainText('temperature 0.7, top-p 0.9, seed 7');
});
