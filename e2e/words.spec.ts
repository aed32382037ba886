import { expect, openWithoutModel, selectedTokens, test, token, tokens } from './page';

// Every description starts with "There are … objects:", and a plural has two sub-tokens: object ##s.
const recorded = 'Describe the image.';

test('a word of several sub-tokens can be selected as one', async ({ page }) => {
  await openWithoutModel(page);
  await page.getByRole('navigation').getByRole('button', { name: recorded }).first().click();
  await expect(page.locator('.answer-question')).toHaveText(recorded);
  const texts = await tokens(page).evaluateAll((options) => options.map((option) => option.firstChild?.textContent));
  // A sub-token has no space before it, so its element directly follows the previous one.
  const second = await tokens(page).evaluateAll((options) =>
    options.findIndex(
      (option, i) => i > 0 && option.previousSibling === options[i - 1] && /^\p{L}/u.test(option.textContent ?? ''),
    ),
  );
  expect(second, `no word of two sub-tokens in “${texts.join(' ')}”`).toBeGreaterThan(0);

  await token(page, second).click();
  await expect.poll(() => selectedTokens(page)).toEqual([second]);
  await token(page, second).dblclick();
  await expect.poll(() => selectedTokens(page)).toEqual([second - 1, second]);

  await page.getByRole('radio', { name: 'Word' }).click();
  await token(page, second - 1).click();
  await expect.poll(() => selectedTokens(page)).toEqual([second - 1, second]);
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowLeft');
  await expect.poll(() => selectedTokens(page)).toEqual([second - 1, second]);
});
