import {
  answerText,
  ask,
  expect,
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
import { diskPng, turnedJpeg } from './pictures';

test('Enter asks, the answer streams, the newest token’s map follows, and the whole answer rests on what says most', async ({
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
  expect(seen.length, 'the answer came in one piece').toBeGreaterThan(3);
  // A token is on screen before its map is.
  for (const { count, selected } of seen) expect([count - 1, count - 2]).toContain(selected);
  const all = await tokens(page).count();
  expect(all).toBeGreaterThan(10);
  const shares = await tokens(page).evaluateAll((options) =>
    options.map((option) => Number.parseFloat(option.querySelector<HTMLElement>('.token-fill')?.style.width ?? '')),
  );
  expect(await selectedTokens(page)).toEqual([shares.indexOf(Math.min(...shares))]);
  await expect(page.locator('.provenance')).toContainText(/answer [\d.]+ (ms|s)/);
  await token(page, 1).click();
  expect(await selectedTokens(page)).toEqual([1]);
});

test('Escape stops an answer, and what has come stays', async ({ page }) => {
  await openPage(page);
  await questionBox(page).fill('Describe the image.');
  await questionBox(page).press('Enter');
  // Frame by frame: at a few milliseconds a token, a look every 100 ms would come too late.
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

test('a suggestion is asked with one click, about another sample image', async ({ page }) => {
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

test.describe('before the model is there', () => {
  test.use({ isFresh: true });

  test('a question asked while the model loads is answered once it is there', async ({ page }) => {
    const letModelThrough = await openBeforeModel(page);
    await questionBox(page).fill('How many objects are there?');
    await questionBox(page).press('Enter');
    await expect(page.locator('.ask-message')).toContainText('when the model has loaded');
    letModelThrough();
    await idle(page);
    await expect(page.locator('.answer-question')).toHaveText('How many objects are there?');
    expect(await tokens(page).count()).toBeGreaterThan(1);
  });
});

test('a question asked while an image is still being read is about that image', async ({ page }) => {
  await page.addInitScript(() => {
    const decode = window.createImageBitmap.bind(window);
    const gate = window as Window & { letImageThrough?: () => void };
    const held = new Promise<void>((resolve) => {
      gate.letImageThrough = resolve;
    });
    window.createImageBitmap = async (...given: unknown[]) => {
      await held;
      return (decode as (...given: unknown[]) => Promise<ImageBitmap>)(...given);
    };
  });
  await openPage(page);
  await page.locator('input[type="file"]').setInputFiles({
    name: 'slow.png',
    mimeType: 'image/png',
    buffer: diskPng(336, 336, [30, 160, 60]),
  });
  await questionBox(page).fill('What color is the sphere?');
  await questionBox(page).press('Enter');
  await expect(message(page)).toHaveText('Your question will be sent when the image has been read.');
  await page.evaluate(() => (window as Window & { letImageThrough?: () => void }).letImageThrough?.());
  await idle(page);
  await expect(page.locator('.answer-question')).toHaveText('What color is the sphere?');
  await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image: slow.png');
});

test('an oblong image: the map lies over the crop alone, and the rest is veiled and said so', async ({ page }) => {
  await openPage(page);
  await page.locator('input[type="file"]').setInputFiles({
    name: 'wide.png',
    mimeType: 'image/png',
    buffer: diskPng(900, 450, [200, 40, 30]),
  });
  await expect(page.locator('.readout-title')).toHaveText('wide.png');
  await ask(page, 'What color is the sphere?');
  const image = await page.locator('.stage-image').boundingBox();
  const map = await patches(page).boundingBox();
  if (image === null || map === null) throw new Error('image or map has no place');
  expect(image.width / image.height).toBeCloseTo(2, 1);
  expect(map.width / map.height).toBeCloseTo(1, 1);
  expect(Math.abs(map.x + map.width / 2 - (image.x + image.width / 2))).toBeLessThan(2);
  await expect(page.locator('.stage-unseen')).toBeVisible();
  await expect(page.locator('.readout-note')).toContainText('the 50 % of the image that the model did not see');
});

test('an upright image is shown whole before it is asked about, and stays in the tray after', async ({ page }) => {
  await openPage(page);
  await page.locator('input[type="file"]').setInputFiles({
    name: 'tall.png',
    mimeType: 'image/png',
    buffer: diskPng(300, 1200, [200, 40, 30]),
  });
  await expect(page.locator('.readout-title')).toHaveText('tall.png');
  const still = await page.locator('.stage-still').boundingBox();
  const box = await page.locator('.stage-box').boundingBox();
  expect(still).toEqual(box);
  await ask(page, 'What color is the sphere?');
  const tray = page.getByRole('group', { name: 'Image to ask about' });
  await expect(tray.getByRole('button', { name: 'tall.png' })).toHaveAttribute('aria-pressed', 'true');
});

test.describe('on a phone', () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, isFresh: true });

  test('whoever asks is brought to the answer, with the map above it and no keyboard over it', async ({ page }) => {
    await openPage(page);
    await ask(page, 'Describe the image.');
    await expect(page.locator('.answer-question')).toBeInViewport({ ratio: 1 });
    await expect(token(page, 0)).toBeInViewport({ ratio: 1 });
    const map = await page.locator('.explain-figure').boundingBox();
    const question = await page.locator('.answer-question').boundingBox();
    if (map === null || question === null) throw new Error('map or question has no place');
    expect(question.y, 'the map covers the question').toBeGreaterThan(map.y + map.height);
    await expect(questionBox(page)).not.toBeFocused();
  });
});

test('a photograph that the camera says is turned is shown and read upright', async ({ page }) => {
  await openPage(page);
  const base64 = await page.evaluate(() => {
    const canvas = document.createElement('canvas');
    canvas.width = 600;
    canvas.height = 400;
    return canvas.toDataURL('image/jpeg').split(',')[1] ?? '';
  });
  const buffer = turnedJpeg(Buffer.from(base64, 'base64'));
  await page.locator('input[type="file"]').setInputFiles({ name: 'upright.jpg', mimeType: 'image/jpeg', buffer });
  await expect(page.locator('.readout-numbers')).toHaveText('400 × 600 px');
  await ask(page, 'What color is the sphere?');
  const image = await page.locator('.stage-image').boundingBox();
  const map = await patches(page).boundingBox();
  if (image === null || map === null) throw new Error('image or map has no place');
  expect(image.width / image.height).toBeCloseTo(2 / 3, 1);
  expect(map.width, 'a square over the whole width').toBeCloseTo(image.width, 0);
});

test('words that are copied with a picture of them are pasted into the question as words', async ({ page }) => {
  await openWithoutModel(page);
  const bytes = Array.from(diskPng(336, 336, [30, 60, 200]));
  const isLeftToTheBox = await questionBox(page).evaluate((box, data) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([new Uint8Array(data)], 'cells.png', { type: 'image/png' }));
    clipboardData.setData('text/plain', 'How many objects are there?');
    return box.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
  }, bytes);
  expect(isLeftToTheBox).toBe(true);
  await expect(page.locator('.answer > .eyebrow')).toHaveText('Recorded example');
});

test('an image can be pasted and dropped', async ({ page }) => {
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
