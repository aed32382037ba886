import { diskPng, rotatedJpeg } from './images';
import {
  answerText,
  ask,
  boxOf,
  chooseDisk,
  expect,
  holdBack,
  idle,
  message,
  openBeforeModel,
  openPage,
  openWithoutModel,
  patches,
  questionBox,
  selectedTokens,
  test,
  token,
  tokens,
} from './page';

test('Enter asks: the answer streams, the map follows the newest token, and the least certain token ends up selected', async ({
  page,
}) => {
  await openPage(page);
  await page.evaluate(() => {
    const seen: { count: number; selected: number }[] = [];
    Object.assign(window, { seen });
    new MutationObserver(() => {
      const isAnswering = document.querySelector('.answer > .eyebrow')?.textContent === 'Answering';
      const count = document.querySelectorAll('[role="option"]').length;
      const selected = document.querySelector<HTMLElement>('[role="option"][aria-selected="true"]')?.dataset.token;
      if (isAnswering && seen.at(-1)?.count !== count && selected !== undefined)
        seen.push({ count, selected: Number(selected) });
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });
  await ask(page, 'Describe the image.');
  const seen = await page.evaluate(() => (window as unknown as { seen: { count: number; selected: number }[] }).seen);
  expect(seen.length, 'the answer arrived all at once').toBeGreaterThan(3);
  // A token appears before its map does.
  for (const { count, selected } of seen) expect([count - 1, count - 2]).toContain(selected);
  const all = await tokens(page).count();
  expect(all).toBeGreaterThan(10);
  const shares = await tokens(page).evaluateAll((options) =>
    options.map((option) => Number.parseFloat(option.querySelector<HTMLElement>('.token-fill')?.style.width ?? '')),
  );
  await expect.poll(() => selectedTokens(page)).toEqual([shares.indexOf(Math.min(...shares))]);
  await expect(page.locator('.provenance')).toContainText(/answer [\d.]+ (ms|s)/);
  await token(page, 1).click();
  await expect.poll(() => selectedTokens(page)).toEqual([1]);
});

test('Escape stops an answer and keeps the tokens so far', async ({ page }) => {
  await openPage(page);
  await questionBox(page).fill('Describe the image.');
  await questionBox(page).press('Enter');
  // Check every frame: at a few milliseconds per token, polling every 100 ms would be too slow.
  await page.waitForFunction(
    () =>
      document.querySelector('.answer > .eyebrow')?.textContent === 'Answering' &&
      document.querySelectorAll('[role="option"]').length > 1,
    undefined,
    { polling: 'raf' },
  );
  await page.keyboard.press('Escape');
  await idle(page);
  await expect(page.locator('.answer-hint')).toHaveText('You stopped this answer. Ask again');
  expect(await tokens(page).count()).toBeGreaterThan(1);
});

test('one click asks a suggested question about another sample image', async ({ page }) => {
  await openPage(page);
  await page.getByRole('group', { name: 'Image to ask about' }).getByRole('button').nth(1).click();
  await expect(page.locator('.answer > .eyebrow')).toHaveText('New image');
  const suggestion = page.getByRole('list', { name: 'Suggested questions' }).getByRole('button').first();
  const question = await suggestion.innerText();
  await suggestion.click();
  await expect(page.locator('.answer-question')).toHaveText(question);
  await idle(page);
  expect(await answerText(page)).not.toBe('');
  await expect(page.getByRole('navigation').getByRole('button').first()).toContainText(question);
});

test.describe('before the model has loaded', () => {
  test.use({ isFresh: true });

  test('a question waits, and is answered once loading finishes', async ({ page }) => {
    const releaseModel = await openBeforeModel(page);
    await questionBox(page).fill('How many objects are there?');
    await questionBox(page).press('Enter');
    await expect(page.locator('.ask-message')).toContainText('once the model has loaded');
    releaseModel();
    await idle(page);
    await expect(page.locator('.answer-question')).toHaveText('How many objects are there?');
    expect(await tokens(page).count()).toBeGreaterThan(1);
  });
});

test('a question asked before the example has arrived waits, and is about the image on screen', async ({ page }) => {
  const release = await holdBack(page, '**/samples/*.run');
  await page.goto('/');
  await expect(page.locator('.stage-still')).toBeVisible();
  const file = (await page.locator('.stage-still').getAttribute('src'))?.split('/').at(-1);
  await questionBox(page).fill('How many objects are there?');
  await questionBox(page).press('Enter');
  await expect(message(page)).toHaveText('Your question will be sent once the image has been read.');
  await expect(page.getByRole('button', { name: 'Stop' })).toBeVisible();
  release();
  await expect(page.locator('.answer-question')).toHaveText('How many objects are there?');
  await idle(page);
  expect(await tokens(page).count()).toBeGreaterThan(1);
  await expect(page.locator('.stage-image')).toHaveAttribute('alt', `Image: ${file}`);
});

test('a question asked before another example has arrived is about that example', async ({ page }) => {
  const release = await holdBack(page, '**/samples/run-3.run');
  await openPage(page);
  const card = page.locator('.card').nth(2);
  await card.click();
  await expect(card).toContainText('Opening');
  await questionBox(page).fill('How many objects are there?');
  await questionBox(page).press('Enter');
  await expect(message(page)).toHaveText('Your question will be sent once the image has been read.');
  const before = await page.locator('.stage-image').getAttribute('alt');
  release();
  await expect(page.locator('.answer-question')).toHaveText('How many objects are there?');
  await idle(page);
  await expect(page.locator('.stage-image')).not.toHaveAttribute('alt', before ?? '');
});

test('an example that arrives late does not replace one opened after it', async ({ page }) => {
  const release = await holdBack(page, '**/samples/run-3.run');
  await openWithoutModel(page);
  const cards = page.locator('.card');
  await cards.nth(2).click();
  await cards.nth(1).click();
  await expect(cards.nth(1)).toHaveAttribute('aria-current', 'true');
  const responded = page.waitForResponse('**/samples/run-3.run');
  release();
  await (await responded).finished();
  await expect(cards.nth(2)).toContainText('Recorded');
  await expect(cards.nth(1)).toHaveAttribute('aria-current', 'true');
});

test('British spellings and synonyms are asked with the model’s words, and the page says so', async ({ page }) => {
  await openPage(page);
  await ask(page, 'What colour is the grey ball in the picture?');
  await expect(page.locator('.answer-asked')).toHaveText(
    'Asked as “What color is the gray ball in the image?”, in the model’s own words.',
  );
  const answer = await answerText(page);
  await ask(page, 'What color is the gray ball in the image?');
  await expect(page.locator('.answer-asked')).toHaveCount(0);
  expect(await answerText(page)).toBe(answer);
});

test('a question asked while an image is being read is about that image', async ({ page }) => {
  await openPage(page);
  await page.evaluate(() => {
    const decode = window.createImageBitmap.bind(window);
    const gate = window as Window & { releaseImage?: () => void };
    const released = new Promise<void>((resolve) => {
      gate.releaseImage = resolve;
    });
    window.createImageBitmap = async (...args: unknown[]) => {
      await released;
      return (decode as (...args: unknown[]) => Promise<ImageBitmap>)(...args);
    };
  });
  await chooseDisk(page, 'slow.png', 336, 336);
  await questionBox(page).fill('What color is the sphere?');
  await questionBox(page).press('Enter');
  await expect(message(page)).toHaveText('Your question will be sent once the image has been read.');
  await page.evaluate(() => (window as Window & { releaseImage?: () => void }).releaseImage?.());
  await idle(page);
  await expect(page.locator('.answer-question')).toHaveText('What color is the sphere?');
  await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image: slow.png');
});

test('the map of a wide image covers only the crop; the rest is dimmed and a note gives its share', async ({
  page,
}) => {
  await openPage(page);
  await chooseDisk(page, 'wide.png', 900, 450);
  await expect(page.locator('.readout-title')).toHaveText('wide.png');
  await ask(page, 'What color is the sphere?');
  const image = await boxOf(page.locator('.stage-image'));
  const map = await boxOf(patches(page));
  expect(image.width / image.height).toBeCloseTo(2, 1);
  expect(map.width / map.height).toBeCloseTo(1, 1);
  expect(Math.abs(map.x + map.width / 2 - (image.x + image.width / 2))).toBeLessThan(2);
  await expect(page.locator('.stage-unseen')).toBeVisible();
  await expect(page.locator('.readout-note')).toContainText('the 50 % of the image that the model did not see');
});

test('a tall image is shown uncropped before a question, and stays in the tray afterwards', async ({ page }) => {
  await openPage(page);
  await chooseDisk(page, 'tall.png', 300, 1200);
  await expect(page.locator('.readout-title')).toHaveText('tall.png');
  const still = await boxOf(page.locator('.stage-still'));
  const box = await boxOf(page.locator('.stage-box'));
  expect(still).toEqual(box);
  await ask(page, 'What color is the sphere?');
  const tray = page.getByRole('group', { name: 'Image to ask about' });
  await expect(tray.getByRole('button', { name: 'tall.png' })).toHaveAttribute('aria-pressed', 'true');
});

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, isFresh: true });

  test('asking scrolls to the answer, keeps the map above it and closes the keyboard', async ({ page }) => {
    await openPage(page);
    await ask(page, 'Describe the image.');
    await expect(page.locator('.answer-question')).toBeInViewport({ ratio: 1 });
    await expect(token(page, 0)).toBeInViewport({ ratio: 1 });
    const map = await boxOf(page.locator('.explain-figure'));
    const question = await boxOf(page.locator('.answer-question'));
    expect(question.y, 'the map covers the question').toBeGreaterThan(map.y + map.height);
    await expect(questionBox(page)).not.toBeFocused();
  });
});

test('a photograph with EXIF rotation is shown and read upright', async ({ page }) => {
  await openPage(page);
  const base64 = await page.evaluate(() => {
    const canvas = document.createElement('canvas');
    canvas.width = 600;
    canvas.height = 400;
    return canvas.toDataURL('image/jpeg').split(',')[1] ?? '';
  });
  const buffer = rotatedJpeg(Buffer.from(base64, 'base64'));
  await page.locator('input[type="file"]').setInputFiles({ name: 'upright.jpg', mimeType: 'image/jpeg', buffer });
  await expect(page.locator('.readout-numbers')).toHaveText('400 × 600 px');
  await ask(page, 'What color is the sphere?');
  const image = await boxOf(page.locator('.stage-image'));
  const map = await boxOf(patches(page));
  expect(image.width / image.height).toBeCloseTo(2 / 3, 1);
  expect(map.width, 'the map is as wide as the image').toBeCloseTo(image.width, 0);
});

test('text copied together with an image is pasted into the question as text', async ({ page }) => {
  await openWithoutModel(page);
  const bytes = Array.from(diskPng(336, 336, [30, 60, 200]));
  const isDefaultAllowed = await questionBox(page).evaluate((box, data) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([new Uint8Array(data)], 'cells.png', { type: 'image/png' }));
    clipboardData.setData('text/plain', 'How many objects are there?');
    return box.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, bytes);
  expect(isDefaultAllowed).toBe(true);
  await expect(page.locator('.answer > .eyebrow')).toHaveText('Recorded example');
});

test('an image can be pasted or dropped', async ({ page }) => {
  await openWithoutModel(page);
  const bytes = Array.from(diskPng(336, 336, [30, 60, 200]));
  for (const [kind, name] of [
    ['paste', 'pasted.png'],
    ['drop', 'dropped.png'],
  ] as const) {
    await page.evaluate(
      ({ bytes, kind, name }) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name, { type: 'image/png' }));
        const event =
          kind === 'paste'
            ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
            : new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
      },
      { bytes, kind, name },
    );
    await expect(page.locator('.readout-title')).toHaveText(name);
  }
  await page.getByRole('button', { name: 'Back to the previous answer' }).click();
  await expect(tokens(page).first()).toBeVisible();
});
