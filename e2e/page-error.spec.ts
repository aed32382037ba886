import { axeViolations } from './looks';
import { answerText, expect, openWithoutModel, selectedTokens, test, token } from './page';

test.use({ allowedErrors: /no memory for a canvas/ });

test('when drawing throws, the page shows the error and can restore the same answer', async ({ page }) => {
  await openWithoutModel(page);
  const answer = await answerText(page);
  await token(page, 0).click();
  await page.evaluate(() => {
    const { createImageData } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.createImageData = () => {
      throw new RangeError('no memory for a canvas');
    };
    Object.assign(window, {
      restore: () => Object.assign(CanvasRenderingContext2D.prototype, { createImageData }),
    });
  });
  await token(page, 1).click();
  const alert = page.getByRole('alert');
  await expect(alert).toContainText('RangeError: no memory for a canvas');
  expect(await axeViolations(page)).toEqual([]);

  const retry = page.getByRole('button', { name: 'Show the page again' });
  await retry.click();
  await expect(alert, 'it fails again while the cause persists').toBeVisible();

  await page.evaluate(() => (window as unknown as { restore: () => void }).restore());
  await retry.click();
  await expect(alert).toHaveCount(0);
  expect(await answerText(page)).toBe(answer);
  await expect.poll(() => selectedTokens(page)).toEqual([1]);
  await expect(page.locator('canvas.stage-map')).toBeVisible();
});
