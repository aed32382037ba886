import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Page, Route } from '@playwright/test';
import { type Companion, headlessFolder, startCompanion, tinyFolder } from './companion';
import { diskPng } from './images';
import { axeViolations, sizes } from './looks';
import { expect, idle, message, openPage, test as plain, questionBox, selectedTokens, token, tokens } from './page';
import { startPrefixProxy } from './prefix-proxy';
import { shot, withGoldens } from './shot';

const secret = 'for-this-test-only';

// Tests that use the same kind of companion run in one worker, which starts the companion once.
plain.describe.configure({ mode: 'default' });

/** Tests a companion's page at the address that the companion printed. */
const test = plain.extend<{ opened: Page }, { companion: Companion }>({
  companion: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright requires this form
    async ({}, use) => {
      const companion = await startCompanion({ arguments: ['--token', secret] });
      await use(companion);
      await companion.kill();
    },
    { scope: 'worker', timeout: 240_000 },
  ],
  baseURL: async ({ companion }, use) => use(companion.origin),
  entry: async ({ companion }, use) => use(companion.address),
  opened: async ({ page, companion }, use) => {
    await openPage(page, companion.address);
    await use(page);
  },
});

/** Like `test`, but with a slowed-down model, for tests that act mid-answer. */
const slow = test.extend<object, { companion: Companion }>({
  companion: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright requires this form
    async ({}, use) => {
      const companion = await startCompanion({ isSlow: true, arguments: ['--token', secret] });
      await use(companion);
      await companion.kill();
    },
    { scope: 'worker', timeout: 240_000 },
  ],
});

/** Starts a separate companion for each test, so that a test can kill it or serve another model folder. */
const alone = plain.extend<{ isHeadless: boolean; isSlow: boolean; tiny: string | undefined; companion: Companion }>({
  isHeadless: [false, { option: true }],
  /** A kind of tiny model with random weights, to serve instead of the embedded model. */
  tiny: [undefined, { option: true }],
  isSlow: [false, { option: true }],
  companion: [
    async ({ isHeadless, isSlow, tiny }, use) => {
      const model = tiny === undefined ? (isHeadless ? headlessFolder() : undefined) : tinyFolder(tiny);
      const companion = await startCompanion({ isSlow, ...(model !== undefined && { model }) });
      await use(companion);
      await companion.kill();
    },
    { timeout: 240_000 },
  ],
  baseURL: async ({ companion }, use) => use(companion.origin),
});

const eyebrow = (page: Page) => page.locator('.answer > .eyebrow');
const status = (page: Page) => page.locator('.status');
const hint = (page: Page) => page.locator('.answer-hint');

async function submit(page: Page, question: string): Promise<void> {
  await questionBox(page).fill(question);
  await questionBox(page).press('Enter');
}

/** Asks a question and waits for the complete answer. */
async function ask(page: Page, question: string): Promise<void> {
  await submit(page, question);
  await expect(eyebrow(page)).toHaveText('Answer');
  await expect(page.locator('.answer-question')).toHaveText(question);
  await idle(page);
}

/** Lets the companion run one animation frame at a time until `count` tokens are shown, then freezes it mid-answer. */
async function freezeInAnswer(page: Page, companion: Companion, count: number): Promise<void> {
  for (;;) {
    companion.freeze();
    if ((await tokens(page).count()) >= count && (await eyebrow(page).textContent()) === 'Answering') return;
    companion.thaw();
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
}

interface SavedMap {
  readonly tokens: readonly { readonly index: number; readonly text: string; readonly logProb: number }[];
  readonly model: { readonly revision: string };
  readonly backend: string;
  readonly values: readonly (readonly number[])[];
}

async function savedMap(page: Page, index: number): Promise<SavedMap> {
  await token(page, index).click();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'JSON', exact: true }).click();
  return JSON.parse(await readFile(await (await download).path(), 'utf8')) as SavedMap;
}

/** Returns the text of every answer token, and the maps of about eight of them. */
async function answerOnScreen(page: Page): Promise<{ texts: string[]; maps: SavedMap[] }> {
  const texts = await tokens(page).evaluateAll((options) =>
    options.map((option) => option.firstChild?.textContent ?? ''),
  );
  const step = Math.ceil(texts.length / 8);
  const maps: SavedMap[] = [];
  for (let index = 0; index < texts.length; index += step) maps.push(await savedMap(page, index));
  return { texts, maps };
}

test('in Compare, the companion computes the maps that the page cannot, and the page computes the rest', async ({
  opened: page,
}) => {
  await ask(page, 'How many spheres are there?');
  await page.getByRole('link', { name: 'Compare' }).click();
  await idle(page);
  const chefer = page.getByRole('region', { name: 'Chefer, exact', exact: true });
  await expect(chefer).toContainText('tokens done');
  await expect(chefer.locator('.panel-cost')).toContainText(/Python.*\d+ forward, [1-9]\d* backward/);
  await expect(chefer).not.toContainText('does not reproduce the streamed answer');
  await page.getByRole('button', { name: 'Method of the strip' }).click();
  await page.getByRole('option', { name: 'TAM', exact: true }).click();
  await idle(page);
  await expect(page.getByRole('region', { name: 'All tokens' })).toContainText('tokens done');
  await expect(page.locator('.strip canvas')).toHaveCount(await page.locator('.strip-cell').count());
});

test('a transparent image that is turned by its EXIF data is answered from the pixels that are shown', async ({
  opened: page,
}) => {
  const name = 'orientation-7-alpha.webp';
  const folder = path.resolve(import.meta.dirname, '../src/inference/fixtures/pictures');
  const { widthPx, heightPx, rgb } = JSON.parse(await readFile(path.join(folder, 'pixels.json'), 'utf8'))[name];
  await page.evaluate(() => {
    const { fetch } = window;
    window.fetch = (url, init) => {
      if (init?.body instanceof FormData) Object.assign(window, { sent: init.body });
      return fetch(url, init);
    };
  });
  await page.locator('input[type="file"]').setInputFiles(path.join(folder, name));
  await ask(page, 'What color is the sphere?');
  const sha256 = createHash('sha256').update(Buffer.from(rgb, 'base64')).digest('hex');
  // The companion compares the pixels that it decodes with these, and refuses others.
  const sent = await page.evaluate(async () => {
    const { sent: body } = window as unknown as { sent: FormData };
    return { request: await (body.get('request') as Blob).text(), type: (body.get('image') as File).type };
  });
  expect(JSON.parse(sent.request).pixels).toEqual({ widthPx, heightPx, sha256 });
  expect(sent.type).toBe('image/png');
  await page.getByRole('link', { name: 'Compare' }).click();
  await idle(page);
  await expect(page.getByRole('region', { name: 'Chefer, exact', exact: true })).toContainText('tokens done');
});

test('an animated GIF is answered by a companion too', async ({ opened: page }) => {
  const file = path.resolve(import.meta.dirname, '../src/inference/fixtures/pictures/animated.gif');
  await page.locator('input[type="file"]').setInputFiles(file);
  await ask(page, 'What color is the sphere?');
  await expect(page.locator('.stage-image')).toHaveAttribute('alt', 'Image: animated.gif');
});

test('an image that the companion would refuse is refused when it is chosen', async ({ opened: page }) => {
  const buffer = diskPng(2020, 20, [200, 30, 30]);
  await page.locator('input[type="file"]').setInputFiles({ name: 'banner.png', mimeType: 'image/png', buffer });
  await expect(page.locator('.ask-message')).toHaveText(
    'banner.png is 2020 × 20 pixels; the companion accepts sides up to 100:1. Crop it first.',
  );
});

test('the page names the companion’s model and device, and requests without the token are refused', async ({
  opened,
  companion,
}) => {
  await expect(status(opened)).toContainText('patchlight-scenes');
  await expect(status(opened)).toContainText('on the companion');
  await expect(status(opened)).toContainText('cpu');
  await expect(opened.getByRole('contentinfo')).toContainText('It runs on the companion that serves this page, on cpu');
  await expect(opened.getByRole('contentinfo')).not.toContainText('There is no server');
  const response = await fetch(`${companion.origin}/v1/model`);
  expect(response.status).toBe(401);
});

test('a link with the token on another site opens the page, and an old token shows what to do', async ({
  browser,
  companion,
}) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  await context.route('http://elsewhere.example/', (route) =>
    route.fulfill({ contentType: 'text/html', body: `<a href="${companion.address}">Ask about your image</a>` }),
  );
  await page.goto('http://elsewhere.example/');
  await page.getByRole('link').click();
  await expect(status(page)).toContainText('on the companion');
  expect(page.url()).not.toContain(secret);
  await page.reload();
  await expect(status(page)).toContainText('on the companion');

  await context.clearCookies();
  const unknown = await page.goto(`${companion.origin}/?token=of-yesterday`);
  expect(unknown?.status()).toBe(401);
  await expect(page.getByRole('heading')).toHaveText('This companion needs its token');
  await expect(page.getByText('The token in this address is not the one')).toBeVisible();
  await context.close();
});

test('the page works under the path prefix of a proxy', async ({ browser, companion }) => {
  const proxy = await startPrefixProxy(companion.port, '/lab');
  const context = await browser.newContext();
  const page = await context.newPage();
  const outside: string[] = [];
  page.on('request', (request) => {
    if (/^http/.test(request.url()) && !request.url().startsWith(`${proxy.origin}/lab/`)) outside.push(request.url());
  });
  await page.goto(`${proxy.origin}/lab/?token=${secret}`);
  await expect(status(page)).toContainText('on the companion');
  await page.getByRole('group', { name: 'Image to ask about' }).getByRole('button').first().click();
  await ask(page, 'What colour is the cube?');
  await expect(page.locator('canvas.stage-map')).toBeVisible();
  expect(new URL(page.url()).pathname).toBe('/lab/');
  expect(outside).toEqual([]);
  await context.close();
  proxy.close();
});

interface Example {
  readonly file: string;
  readonly title: string;
  readonly image: string;
}

/** Asks each example's question about its image in the open page. */
async function answersOnScreen(page: Page, examples: readonly Example[], images: readonly string[]) {
  const tray = page.getByRole('group', { name: 'Image to ask about' }).getByRole('button');
  const answers = new Map<string, Awaited<ReturnType<typeof answerOnScreen>>>();
  for (const { file, title, image } of examples) {
    const at = images.indexOf(image);
    expect(at, image).toBeGreaterThanOrEqual(0);
    const button = tray.nth(at);
    if ((await button.getAttribute('aria-pressed')) !== 'true') await button.click();
    await ask(page, title);
    answers.set(file, await answerOnScreen(page));
  }
  return answers;
}

test('answers and maps match the embedded model’s for every recorded example', async ({ opened: page }) => {
  test.setTimeout(360_000);
  const index = (await (await page.request.get('/samples/index.json')).json()) as {
    runs: Example[];
    images: { file: string }[];
  };
  const images = index.images.map(({ file }) => file);
  expect(index.runs.length).toBeGreaterThan(0);
  const fromCompanion = await answersOnScreen(page, index.runs, images);
  await openPage(page, '/?source=embedded');
  await expect(status(page)).toContainText('on this page');
  const fromPage = await answersOnScreen(page, index.runs, images);
  for (const { file } of index.runs) {
    const [actual, expected] = [fromCompanion.get(file)!, fromPage.get(file)!];
    expect(actual.texts, file).toEqual(expected.texts);
    expect(actual.maps.length).toBeGreaterThan(3);
    for (const [i, map] of actual.maps.entries()) {
      const label = `${file}, token ${map.tokens[0]?.index} “${map.tokens[0]?.text}”`;
      const expectedMap = expected.maps[i]!;
      const differences = map.values.flatMap((row, r) =>
        row.map((value, c) => Math.abs(value - expectedMap.values[r]![c]!)),
      );
      // The companion has float32 weights and sends states as fp16; the page has fp16 weights. The largest difference
      // seen is 5e-4.
      expect(Math.max(...differences), label).toBeLessThan(2e-3);
      expect(Math.abs(map.tokens[0]!.logProb - expectedMap.tokens[0]!.logProb), label).toBeLessThan(2e-2);
      expect(map.backend, label).toBe('wasm');
    }
  }
});

slow('maps arrive while the answer streams, one per token', async ({ opened: page }) => {
  await submit(page, 'Describe the image.');
  await page.waitForFunction(
    () =>
      document.querySelector('.answer > .eyebrow')?.textContent === 'Answering' &&
      document.querySelector('.token[data-map="true"]') !== null &&
      document.querySelector('canvas.stage-map') !== null,
    undefined,
    { polling: 'raf' },
  );
  await idle(page);
  await expect.poll(() => selectedTokens(page)).toHaveLength(1);
  await expect(page.locator('.token[data-map="false"]')).toHaveCount(0);
});

slow(
  'stopping keeps the tokens so far as a partial answer, and Ask again gets the complete one',
  async ({ opened: page, companion }) => {
    await submit(page, 'Describe the image.');
    await freezeInAnswer(page, companion, 4);
    await page.keyboard.press('Escape');
    companion.thaw();
    await expect(eyebrow(page)).toHaveText('Partial answer');
    await expect(hint(page)).toContainText('You stopped this answer.');
    const count = await tokens(page).count();
    expect(count).toBeGreaterThan(3);
    await expect(page.locator('.card-note').first()).toContainText('Partial: There are');
    await page.getByRole('button', { name: 'Ask again' }).click();
    await expect(eyebrow(page)).toHaveText('Answer');
    await idle(page);
    expect(await tokens(page).count()).toBeGreaterThan(count);
  },
);

slow(
  'a queued question shows its place, and the previous answer stays on screen',
  async ({ opened: page, companion }) => {
    await ask(page, 'What color is the cylinder?');
    const before = await tokens(page).count();
    expect(before).toBeGreaterThan(1);
    await page.evaluate(() => {
      const queueMessages: string[] = [];
      Object.assign(window, { queueMessages });
      new MutationObserver(() => {
        const text = document.querySelector('.ask-message')?.textContent ?? '';
        if (text.startsWith('Queued') && queueMessages.at(-1) !== text) queueMessages.push(text);
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    const image = await (await page.request.get('/samples/scene-1.png')).body();
    const requests = [1, 2, 3].map(async () => {
      const body = new FormData();
      body.set(
        'request',
        new Blob([JSON.stringify({ question: 'Describe the image.' })], { type: 'application/json' }),
      );
      body.set('image', new Blob([new Uint8Array(image)], { type: 'image/png' }), 'scene-1.png');
      const headers = { Authorization: `Bearer ${secret}` };
      return fetch(`${companion.origin}/v1/generate`, { method: 'POST', body, headers });
    });
    // A response begins once its question is queued, so these three are ahead of the next question.
    const responses = await Promise.all(requests);
    await submit(page, 'How many objects are there?');
    await expect(message(page)).toContainText(/Queued: \d questions? ahead of yours/);
    expect(await tokens(page).count()).toBe(before);
    await expect(page.locator('.answer-question')).toHaveText('What color is the cylinder?');
    await expect(page.locator('.answer-question')).toHaveText('How many objects are there?', { timeout: 120_000 });
    await expect(eyebrow(page)).toHaveText('Answer');
    const messages = await page.evaluate(() => (window as unknown as { queueMessages: string[] }).queueMessages);
    expect(messages.length, 'the question moved up the queue').toBeGreaterThan(1);
    expect(responses.map((response) => response.status)).toEqual([200, 200, 200]);
    await Promise.all(responses.map((response) => response.arrayBuffer()));
  },
);

test.describe('failures', () => {
  test.use({ allowedErrors: /Failed to load resource|net::ERR/ });

  test('a question over the length limit is refused with both numbers', async ({ opened: page }) => {
    await submit(page, 'what color is the large sphere '.repeat(260));
    await expect(message(page)).toContainText(/The question has \d+ characters, the limit is 8000\./);
  });

  slow('silence mid-answer is reported, and Stop keeps the tokens so far', async ({ opened: page, companion }) => {
    await submit(page, 'Describe the image.');
    await freezeInAnswer(page, companion, 3);
    try {
      await expect(message(page)).toHaveText('No new tokens for a while. If you stop, the answer so far is kept.');
      await page.getByRole('button', { name: 'Stop' }).click();
      await expect(eyebrow(page)).toHaveText('Partial answer');
    } finally {
      companion.thaw();
    }
    await ask(page, 'How many objects are there?');
  });

  /** Alters the companion's response, as a faulty connection would. */
  async function damage(page: Page, change: (body: Buffer) => Buffer): Promise<void> {
    await page.route('**/v1/generate', async (route: Route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: change(await response.body()) });
    });
  }

  test('a stream that breaks off leaves a partial answer, and the companion stays connected', async ({
    opened: page,
  }) => {
    await damage(page, (body) => body.subarray(0, Math.floor(body.length * 0.9)));
    await submit(page, 'Describe the image.');
    await expect(eyebrow(page)).toHaveText('Partial answer');
    await expect(hint(page)).toContainText('Interrupted: the connection to the companion was lost. Ask again');
    await expect(status(page)).toContainText('on the companion');
  });

  test('a damaged stream leaves an interrupted, partial answer', async ({ opened: page }) => {
    // Removes 1,000 bytes near the end of the stream.
    await damage(page, (body) =>
      Buffer.concat([body.subarray(0, body.length - 4000), body.subarray(body.length - 3000)]),
    );
    await submit(page, 'Describe the image.');
    await expect(eyebrow(page)).toHaveText('Partial answer');
    await expect(hint(page)).toContainText('Interrupted');
    expect(await tokens(page).count()).toBeGreaterThan(3);
  });

  test('a stream of another format version is refused with both versions, and the previous answer stays', async ({
    opened: page,
  }) => {
    await ask(page, 'What color is the cylinder?');
    const before = await tokens(page).count();
    expect(before).toBeGreaterThan(1);
    await damage(page, (body) =>
      Buffer.from(body.toString('latin1').replace('"formatVersion": 2', '"formatVersion": 7'), 'latin1'),
    );
    await submit(page, 'How many objects are there?');
    await expect(message(page)).toHaveText('No answer: This run has format version 7; this page supports version 2.');
    expect(await tokens(page).count()).toBe(before);
  });

  test('a companion with another protocol version is refused with both versions', async ({ page, companion }) => {
    await page.route('**/v1/health', (route) =>
      route.fulfill({ json: { status: 'ready', version: '9.1', protocol: 3 } }),
    );
    await page.goto(companion.address);
    await expect(status(page)).toContainText('Not connected to the companion');
    await expect(message(page)).toHaveText('Not connected: the companion (9.1) uses protocol 3; this page supports 2.');
    await page.unroute('**/v1/health');
    await page.getByRole('button', { name: 'Reconnect' }).click();
    await expect(status(page)).toContainText('on the companion');
  });

  async function changeHead(page: Page, change: object): Promise<void> {
    await page.route('**/v1/model', async (route) => {
      const facts = await (await route.fetch()).json();
      const trainCommand = 'patchlight fit --model models/patchlight-scenes --images photos';
      await route.fulfill({ json: { ...facts, head: { ...facts.head, ...change }, trainCommand } });
    });
  }

  test('with a head that does not fit, a notice gives both sizes, and the maps are by TAM', async ({
    page,
    companion,
  }) => {
    await changeHead(page, { hiddenSize: 4096, stage: 'pre_norm' });
    await openPage(page, companion.address);
    await ask(page, 'How many objects are there?');
    await expect(page.locator('.notice')).toContainText(
      'Head fastrm reads pre_norm states of size 4096, but patchlight-scenes produces post_norm states of size 192.',
    );
    await expect(page.locator('.method-button')).toContainText('TAM');
    await expect(page.locator('canvas.stage-map')).toHaveCount(1);
    expect(await tokens(page).count()).toBeGreaterThan(1);
  });

  test(
    'the unconnected page and an answer without FastRM maps look as expected',
    withGoldens,
    async ({ page, companion }) => {
      await page.route('**/v1/health', (route) => route.abort());
      await openPage(page, companion.address);
      for (const size of ['desktop', 'phone'] as const) {
        await shot(page, 'unconnected-masthead', [size, 'light'], { region: page.getByRole('banner') });
        await shot(page, 'unconnected-ask', [size, 'light'], { region: page.locator('.ask') });
      }
      await page.unroute('**/v1/health');
      await changeHead(page, { hiddenSize: 4096 });
      await page.setViewportSize(sizes.desktop);
      await ask(page, 'How many objects are there?');
      await shot(page, 'without-maps', ['desktop', 'light'], { region: page.locator('main') });
      await shot(page, 'without-maps', ['phone', 'light'], { region: page.locator('main') });
    },
  );
});

test.describe('with an empty cache', () => {
  test.use({ isFresh: true });

  test('a head file that does not match its checksum is not used', async ({ page, companion }) => {
    await page.route('**/v1/head/fastrm.bin*', async (route) => {
      const response = await route.fetch();
      const body = await response.body();
      body[1000] = body[1000]! ^ 1;
      await route.fulfill({ response, body });
    });
    await openPage(page, companion.address);
    await ask(page, 'How many objects are there?');
    await expect(page.locator('.notice')).toContainText(/does not match its checksum/);
  });
});

alone.describe('when the companion dies mid-answer', () => {
  alone.use({ isSlow: true, isFresh: true, allowedErrors: /Failed to load resource|net::ERR/ });

  alone('the tokens so far stay, and the page can reconnect to a new companion', async ({ page, companion: first }) => {
    alone.setTimeout(300_000);
    await openPage(page, first.address);
    await submit(page, 'Describe the image.');
    await freezeInAnswer(page, first, 4);
    const received = await tokens(page).count();
    await first.kill();
    await expect(eyebrow(page)).toHaveText('Partial answer');
    await expect(hint(page)).toContainText('Interrupted: the connection to the companion was lost.');
    expect(await tokens(page).count()).toBeGreaterThanOrEqual(received);
    await expect(page.locator('.token[data-map="false"]')).toHaveCount(0);
    await expect(status(page)).toContainText('Not connected to the companion');
    await expect(message(page)).toContainText('the companion does not respond (is patchlight serve still running?)');
    await token(page, 1).click();
    await expect(page.locator('.readout-title')).toContainText('Map of “');

    const second = await startCompanion({ port: first.port });
    try {
      await page.getByRole('button', { name: 'Reconnect' }).click();
      await expect(status(page)).toContainText('on the companion');
      await page.getByRole('button', { name: 'Ask again' }).click();
      await expect(eyebrow(page)).toHaveText('Answer');
      await idle(page);
      await expect(message(page)).toBeEmpty();
    } finally {
      await second.kill();
    }
  });
});

alone.describe('a model without a head', () => {
  alone.use({ isHeadless: true, isFresh: true });

  alone(
    'shows a TAM map from the first token on, and one notice with the command that makes a head',
    async ({ page, companion }) => {
      await openPage(page, companion.address);
      await page.evaluate(() => {
        const seen: string[] = [];
        Object.assign(window, { seen });
        new MutationObserver(() => {
          const isAnswering = document.querySelector('.answer > .eyebrow')?.textContent === 'Answering';
          if (isAnswering && document.querySelector('canvas.stage-map') !== null)
            seen.push(document.querySelector('.method-button')?.textContent ?? '');
        }).observe(document.body, { subtree: true, childList: true, characterData: true });
      });
      const requests: string[] = [];
      page.on('request', (request) => requests.push(new URL(request.url()).pathname));
      await ask(page, 'Describe the image.');
      const seen = await page.evaluate(() => (window as unknown as { seen: string[] }).seen);
      expect(seen.length, 'a map was shown while the answer streamed').toBeGreaterThan(0);
      expect(seen[0]).toContain('TAM');
      expect(requests.filter((path) => path.startsWith('/v1/'))).toEqual(['/v1/generate']);
      await expect(page.locator('.token[data-map="false"]')).toHaveCount(0);
      await expect(page.locator('.method-line')).toContainText(/[\d.]+ ms, in the page/);
      await expect(page.locator('.marks-note')).toContainText('(TAM)');
      await token(page, 1).click();
      await expect(page.locator('.inspector')).toContainText('Token 2 of');
      await expect(page.locator('.trust-panel')).toContainText(/Mean log-probability -?[\d.]+ nats per token/);

      const notice = page.locator('.notice');
      await expect(notice).toContainText('patchlight-scenes has no FastRM head. Without a head, the page shows TAM');
      await expect(notice.locator('code')).toHaveText(/^patchlight fit --model \S+ --images photos$/);
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
      await notice.getByRole('button', { name: 'Copy' }).click();
      await expect(notice.getByRole('button', { name: 'Copied' })).toBeVisible();
      await expect(notice.locator('[aria-live]')).toHaveText('Copied');
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      expect(copied).toBe(await notice.locator('code').innerText());
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await axeViolations(page)).toEqual([]);
      }
      await ask(page, 'How many objects are there?');
      await expect(notice, 'once per model').toHaveCount(0);
      await page.locator('.card').filter({ hasText: 'Describe the image.' }).first().click();
      await notice.getByRole('button', { name: 'Dismiss' }).click();
      await expect(notice).toHaveCount(0);
      await expect(page.locator('.answer-question')).toBeFocused();
      await page.reload();
      await idle(page);
      await ask(page, 'How many objects are there?');
      await expect(notice).toHaveCount(0);

      await page.getByRole('button', { name: /^Exact map/ }).click();
      await idle(page);
      await expect(page.locator('.method-line')).toContainText(/[\d.]+ (ms|s), on the companion/);
      await expect(page.locator('.readout-title')).toContainText('Map of “');
      await expect(page.getByRole('button', { name: /^Back/ })).toBeVisible();
    },
  );
});

alone.describe('a model that caps its attention scores', () => {
  alone.use({ tiny: 'paligemma2', isFresh: true });

  alone(
    'shows TAM, lists the methods that it rules out with the reason, and offers no head',
    async ({ page, companion }) => {
      await openPage(page, companion.address);
      await submit(page, 'What is it?');
      await expect(eyebrow(page)).toHaveText('Answer', { timeout: 120_000 });
      await idle(page);
      await expect(page.locator('canvas.stage-map')).toBeVisible();
      await expect(page.locator('.notice')).toContainText(
        'paligemma2 has no FastRM head. Without a head, the page shows TAM',
      );
      await expect(page.locator('.notice code')).toHaveCount(0);
      await expect(page.getByRole('button', { name: /^Exact map/ })).toHaveCount(0);
      await page.getByRole('button', { name: 'Map by' }).click();
      const chefer = page.getByRole('option', { name: 'Chefer, exact', exact: true });
      await expect(chefer).toHaveAttribute('aria-disabled', 'true');
      await expect(chefer).toContainText('Not possible with this model: Gemma2Model caps its attention scores');
      await page.keyboard.press('Escape');

      await page.getByRole('link', { name: 'Compare' }).click();
      await page.getByRole('button', { name: 'Method of panel 1' }).click();
      await expect(chefer).toContainText('Not possible with this model: Gemma2Model caps its attention scores');
    },
  );
});
