import { axeFaults } from './looks';
import { answerText, expect, openWithoutModel, selectedTokens, test, token } from './page';

test.use({ tolerated: /no memory for a canvas/ });

test('when drawing throws, the page says what to do, and comes back with the answer it showed', async ({ page }) => {
  await openWithoutModel(page);
  const answer = await answerText(page);
  await token(page, 0).click();
  await page.evaluate(() => {
    const { createImageData } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.createImageData = () => {
      throw new RangeError('no memory for a canvas');
    };
    Object.assign(window, {
      mend: () => Object.assign(CanvasRenderingContext2D.prototype, { createImageData }),
    });
  });
  await token(page, 1).click();
  const fault = page.getByRole('alert');
  await expect(fault).toContainText('RangeError: no memory for a canvas');
  expect(await axeFaults(page)).toEqual([]);

  const retry = page.getByRole('button', { name: 'Show the page again' });
  await retry.click();
  await expect(fault, 'it breaks again as long as the cause is there').toBeVisible();

  await page.evaluate(() => (window as unknown as { mend: () => void }).mend());
  await retry.click();
  await expect(fault).toHaveCount(0);
  expect(await answerText(page)).toBe(answer);
  expect(await selectedTokens(page)).toEqual([1]);
  await expect(page.locator('canvas.stage-map')).toBeVisible();
});
