import type { Page } from '@playwright/test';
import { sizes } from './looks';
import {
  boxOf,
  chooseDisk,
  expect,
  idle,
  message,
  openPage,
  openWithoutModel,
  questionBox,
  test,
  token,
  tokens,
} from './page';
import { twoFramesRun } from './two-frames';

/** Runs of 5,000 characters without a space. */
const longRuns = {
  letters: 'x'.repeat(5000),
  path: 'a/b_c-d.'.repeat(625),
  ideographs: '漢'.repeat(5000),
  emoji: '👩‍👩‍👧'.repeat(625),
  'right to left': 'ש'.repeat(5000),
  'combining marks': `e${'\u0301'.repeat(7)}`.repeat(625),
  'no-break spaces': 'ab\u00a0'.repeat(1667),
};

const overflowPx = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

async function expectFits(page: Page, what: string): Promise<void> {
  for (const [size, viewport] of Object.entries(sizes)) {
    await page.setViewportSize(viewport);
    // Charts adopt their new width over the next few frames.
    await expect.soft.poll(() => overflowPx(page), `${what}, ${size}`).toBeLessThanOrEqual(0);
  }
}

/** Cuts a text into tokens of four characters, without white space between them. */
const tokensOf = (text: string) => text.slice(0, 1200).match(/[\s\S]{1,4}/g) ?? [];

for (const [name, text] of Object.entries(longRuns)) {
  test(`a run with texts of ${name} fits the page in every view`, async ({ page }) => {
    await openWithoutModel(page);
    const buffer = twoFramesRun({
      question: text,
      answer: [text, ' and', ...tokensOf(text)],
      name: `${text}.png`,
      model: text,
      preprocessing: text,
    });
    await page
      .locator('input[type="file"]')
      .setInputFiles({ name: 'long.run', mimeType: 'application/octet-stream', buffer });
    await expect(page.locator('.answer-question')).toHaveText(text);
    for (const details of await page.locator('details > summary').all()) await details.click();
    await token(page, 0).click();
    await expectFits(page, 'Explain, one token');
    await expect(token(page, 0)).toHaveAttribute('title', text.trim());
    await token(page, 2).click();
    await token(page, 5).click({ modifiers: ['Shift'] });
    await page.getByRole('grid').click({ position: { x: 100, y: 100 } });
    await expectFits(page, 'Explain, several tokens and a patch');
    const list = await boxOf(page.getByRole('listbox', { name: 'Tokens of the answer' }));
    for (const index of [0, 2, (await tokens(page).count()) - 1]) {
      const box = await boxOf(token(page, index));
      expect(box.x + box.width, `token ${index}`).toBeLessThanOrEqual(list.x + list.width + 1);
    }
    await page.getByRole('link', { name: 'Compare' }).click();
    await idle(page);
    await expectFits(page, 'Compare');
    await page.getByRole('link', { name: 'Trust' }).click();
    await idle(page);
    await expectFits(page, 'Trust');
  });
}

test('a long question, and messages that quote it or a file’s name, fit the page', async ({ page }) => {
  await openPage(page);
  for (const text of [longRuns.letters, longRuns.emoji]) {
    await questionBox(page).fill(text);
    await questionBox(page).press('Enter');
    await expect(message(page)).toContainText('does not know');
    await expectFits(page, 'a question of unknown words');
    expect((await message(page).innerText()).length, 'the word is cut').toBeLessThan(300);
  }
  const name = `${'n'.repeat(250)}.png`;
  await page
    .locator('.ask input[type="file"]')
    .setInputFiles({ name, mimeType: 'image/png', buffer: Buffer.from('no image') });
  await expect(message(page)).toContainText('nnn');
  await expectFits(page, 'the name of a file that is refused');
  await chooseDisk(page, name, 336, 336);
  await expect(page.locator('.answer > .eyebrow')).toHaveText('New image');
  await expectFits(page, 'the name of a chosen image');
});

test('a table with long texts fits the page', async ({ page }) => {
  await openWithoutModel(page, '/?view=trust');
  const long = longRuns.letters;
  const rows = Array.from({ length: 200 }, (_, i) =>
    [
      `${long}${i}`,
      long,
      long,
      long,
      i % 2 ? long : 'short',
      i % 3 ? long : 'set',
      (i % 97) / 20 + 1,
      i % 4 ? 1 : 0,
    ].join(),
  );
  const head = 'id,question,answer,reference,kind,set,entropy,correct';
  const buffer = Buffer.from([head, ...rows].join('\n'));
  await page
    .locator('main input[type="file"]')
    .setInputFiles({ name: `${'t'.repeat(200)}.csv`, mimeType: 'text/csv', buffer });
  await expect(page.locator('.source-facts')).toContainText('200 answers');
  await idle(page);
  await expectFits(page, 'the table');
  const chosen = page.getByRole('checkbox', { name: /xxx/ }).first();
  if ((await chosen.count()) > 0) await chosen.click();
  await idle(page);
  await expectFits(page, 'a chosen category');
});
