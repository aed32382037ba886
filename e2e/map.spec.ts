import { readFile } from 'node:fs/promises';
import { boxOf, expect, mapPixels, openWithoutModel, patches, readout, test, token } from './page';

test('colours, scale, smoothing and opacity can be changed, and the address keeps them', async ({ page }) => {
  await openWithoutModel(page);
  await token(page, 1).click();
  const before = await mapPixels(page);
  await page.getByRole('radio', { name: 'Viridis' }).click();
  await expect.poll(() => mapPixels(page)).not.toEqual(before);
  const viridis = await mapPixels(page);
  await page.getByRole('radio', { name: 'Per map' }).click();
  await expect.poll(() => mapPixels(page)).not.toEqual(viridis);
  await expect(page.locator('.legend-scale')).toContainText('this map’s values');
  await page.getByRole('radio', { name: 'Smooth' }).click();
  await expect(page.locator('canvas.stage-map')).not.toHaveCSS('image-rendering', 'pixelated');
  await page.getByRole('slider', { name: 'Opacity' }).focus();
  await page.keyboard.press('End');
  await expect(page.locator('canvas.stage-map')).toHaveCSS('opacity', '1');
  await expect(page).toHaveURL(/colours=viridis.*scale=own|scale=own.*colours=viridis/);
  await expect(page).toHaveURL(/opacity=100/);

  await page.reload();
  await expect(page.getByRole('radio', { name: 'Viridis' })).toBeChecked();
  await expect(page.getByRole('radio', { name: 'Per map' })).toBeChecked();
  await expect(page.getByRole('radio', { name: 'Smooth' })).toBeChecked();
});

test('the threshold outlines the patches above it, works by keyboard and resets to the head’s', async ({ page }) => {
  await openWithoutModel(page);
  const outline = page.locator('.outline-line');
  const count = page.locator('.legend-count');
  const slider = page.getByRole('slider', { name: /threshold/i });
  await slider.focus();
  await page.keyboard.press('Home');
  await expect(count).toHaveText('576 of 576 patches');
  await expect(outline).toHaveAttribute('d', 'M0 0L24 0L24 24L0 24Z');
  await page.keyboard.press('ArrowRight');
  await expect(page.locator('.legend output')).toHaveText('0.01');
  await expect(page).toHaveURL(/threshold=0\.01/);
  await page.keyboard.press('End');
  await expect(outline).toHaveAttribute('d', '');
  await page.getByRole('button', { name: /reset to the head/ }).click();
  await expect(page).not.toHaveURL(/threshold=/);
});

test('pointing at a patch shows its value and rank, and picking it marks the tokens that rest on it', async ({
  page,
}) => {
  await openWithoutModel(page, '/?threshold=0.01'); // so low that every model has tokens above it
  await expect(readout(page)).toContainText('peak');
  const peak = /r(\d+) c(\d+)/.exec(await readout(page).innerText());
  const [row, col] = [Number(peak?.[1]), Number(peak?.[2])];
  const box = await boxOf(patches(page));
  const x = box.x + ((col - 0.5) / 24) * box.width;
  const y = box.y + ((row - 0.5) / 24) * box.height;
  await page.mouse.move(x, y);
  await expect(readout(page)).toContainText(`r${row} c${col}`);
  await expect(readout(page)).toContainText('rank 1 of 576');
  await page.mouse.click(x, y);
  await expect(page.locator('.readout-note')).toContainText(`Words that used r${row} c${col}: `);
  await expect(page.locator('.token[data-marked]').first()).toBeVisible();
  await page.getByRole('button', { name: 'Clear' }).click();
  await expect(page.locator('.token[data-marked]')).toHaveCount(0);
});

test('patches can be explored and picked by keyboard', async ({ page }) => {
  await openWithoutModel(page);
  const cell = page.getByRole('gridcell');
  await page.keyboard.press('Tab');
  while (!(await patches(page).evaluate((grid) => grid === document.activeElement))) await page.keyboard.press('Tab');
  await expect(cell).toHaveAccessibleName(/rank 1 of 576/);
  await page.keyboard.press('Home');
  await page.keyboard.press('PageUp');
  await expect(cell).toHaveAccessibleName(/row 1, column 1:/);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowRight');
  await expect(cell).toHaveAccessibleName(/row 2, column 2:/);
  await page.keyboard.press('Enter');
  await expect(cell).toHaveAttribute('aria-selected', 'true');
  await expect(page.locator('.readout-note')).toContainText('r2 c2');
});

test('the map can be saved as an image, and as numbers with their provenance', async ({ page }) => {
  await openWithoutModel(page);
  for (const kind of ['PNG', 'CSV', 'JSON']) {
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: kind, exact: true }).click();
    const file = await download;
    expect(file.suggestedFilename()).toMatch(new RegExp(`^patchlight-.*\\.${kind.toLowerCase()}$`));
    if (kind !== 'JSON') continue;
    const saved = JSON.parse(await readFile(await file.path(), 'utf8')) as {
      method: string;
      values: number[][];
      model: { name: string };
    };
    expect(saved.method).toBe('FastRM');
    expect(saved.model.name).not.toBe('');
    expect(saved.values).toHaveLength(24);
    expect(saved.values[0]).toHaveLength(24);
  }
});

test('provenance includes the head, the hidden-state stage, the backend and the times', async ({ page }) => {
  await openWithoutModel(page);
  const line = page.locator('.provenance');
  await expect(line).toContainText(/head .+, trained on/);
  await expect(line).toContainText(/(post|pre)_norm states/);
  await expect(line).toContainText(/WASM|WebGPU|Python/);
  await expect(line).toContainText(/map [\d.]+ (ms|s)/);
});
