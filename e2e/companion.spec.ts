import { readFile } from 'node:fs/promises';
import type { Page, Route } from '@playwright/test';
import { type Companion, headlessFolder, startCompanion } from './companion';
import { axeFaults, sizes } from './looks';
import { expect, idle, message, openPage, test as plain, questionBox, selectedTokens, token, tokens } from './page';
import { shot, withGoldens } from './shot';

const secret = 'for-this-test-only';

// Tests with the same kind of companion run in one worker, which starts it once.
plain.describe.configure({ mode: 'default' });

/** Every test has the page that the companion serves, opened at the address that it printed. */
const test = plain.extend<{ opened: Page }, { companion: Companion }>({
  companion: [
    // biome-ignore lint/correctness/noEmptyPattern: the fixture's form
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

/** The same, with a model that takes its time: for what happens in the middle of an answer. */
const slow = test.extend<object, { companion: Companion }>({
  companion: [
    // biome-ignore lint/correctness/noEmptyPattern: the fixture's form
    async ({}, use) => {
      const companion = await startCompanion({ isSlow: true, arguments: ['--token', secret] });
      await use(companion);
      await companion.kill();
    },
    { scope: 'worker', timeout: 240_000 },
  ],
});

/** Here each test has a companion of its own, to kill or to serve another folder. */
const alone = plain.extend<{ isHeadless: boolean; isSlow: boolean; companion: Companion }>({
  isHeadless: [false, { option: true }],
  isSlow: [false, { option: true }],
  companion: [
    async ({ isHeadless, isSlow }, use) => {
      const companion = await startCompanion({ isSlow, ...(isHeadless && { model: headlessFolder() }) });
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

async function put(page: Page, question: string): Promise<void> {
  await questionBox(page).fill(question);
  await questionBox(page).press('Enter');
}

/** Asks, and waits for the whole answer. */
async function ask(page: Page, question: string): Promise<void> {
  await put(page, question);
  await expect(eyebrow(page)).toHaveText('Answer');
  await expect(page.locator('.answer-question')).toHaveText(question);
  await idle(page);
}

/** Frozen with part of its answer said: let go on for one frame of the page at a time until that is so. */
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

/** The answer on screen: its tokens' texts, and the maps of about eight of them. */
async function answerOnScreen(page: Page): Promise<{ texts: string[]; maps: SavedMap[] }> {
  const texts = await tokens(page).evaluateAll((options) => options.map((one) => one.firstChild?.textContent ?? ''));
  const step = Math.ceil(texts.length / 8);
  const maps: SavedMap[] = [];
  for (let index = 0; index < texts.length; index += step) maps.push(await savedMap(page, index));
  return { texts, maps };
}

test('the comparison has the companion compute what the page cannot, and makes the rest here', async ({
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

test('the model of the companion is named, with what it runs on, and the page needs its token', async ({
  opened,
  companion,
}) => {
  await expect(status(opened)).toContainText('patchlight-scenes');
  await expect(status(opened)).toContainText('on the companion');
  await expect(status(opened)).toContainText('cpu');
  await expect(opened.getByRole('contentinfo')).toContainText('It runs on the companion that serves this page, on cpu');
  await expect(opened.getByRole('contentinfo')).not.toContainText('There is no server');
  const without = await fetch(`${companion.origin}/v1/model`);
  expect(without.status).toBe(401);
});

interface Example {
  readonly file: string;
  readonly title: string;
  readonly image: string;
}

/** Asks the question of each example about its image, in the page as it stands. */
async function answersOnScreen(page: Page, examples: readonly Example[], images: readonly string[]) {
  const tray = page.getByRole('group', { name: 'Image to ask about' }).getByRole('button');
  const answers = new Map<string, Awaited<ReturnType<typeof answerOnScreen>>>();
  for (const { file, title, image } of examples) {
    const button = tray.nth(images.indexOf(image));
    if ((await button.getAttribute('aria-pressed')) !== 'true') await button.click();
    await ask(page, title);
    answers.set(file, await answerOnScreen(page));
  }
  return answers;
}

test('answers and maps are those of the model in the page, for every recorded example', async ({ opened: page }) => {
  test.setTimeout(360_000);
  const index = (await (await page.request.get('/samples/index.json')).json()) as {
    runs: Example[];
    images: { file: string }[];
  };
  const images = index.images.map(({ file }) => file);
  expect(index.runs.length).toBeGreaterThan(0);
  const away = await answersOnScreen(page, index.runs, images);
  await openPage(page, '/?source=embedded');
  await expect(status(page)).toContainText('in this page');
  const here = await answersOnScreen(page, index.runs, images);
  for (const { file } of index.runs) {
    const [found, wanted] = [away.get(file)!, here.get(file)!];
    expect(found.texts, file).toEqual(wanted.texts);
    expect(found.maps.length).toBeGreaterThan(3);
    for (const [i, map] of found.maps.entries()) {
      const about = `${file}, token ${map.tokens[0]?.index} “${map.tokens[0]?.text}”`;
      const other = wanted.maps[i]!;
      const differences = map.values.flatMap((row, r) => row.map((value, c) => Math.abs(value - other.values[r]![c]!)));
      // There float32 weights and states that crossed as fp16, here fp16 weights: 5e-4 at most was seen.
      expect(Math.max(...differences), about).toBeLessThan(2e-3);
      expect(Math.abs(map.tokens[0]!.logProb - other.tokens[0]!.logProb), about).toBeLessThan(2e-2);
      expect(map.backend, about).toBe('wasm');
    }
  }
});

slow('maps come while the answer streams, one for each token', async ({ opened: page }) => {
  await put(page, 'Describe the image.');
  await page.waitForFunction(
    () =>
      document.querySelector('.answer > .eyebrow')?.textContent === 'Answering' &&
      document.querySelector('.token[data-map="true"]') !== null &&
      document.querySelector('canvas.stage-map') !== null,
    undefined,
    { polling: 'raf' },
  );
  await idle(page);
  expect(await selectedTokens(page)).toHaveLength(1);
  await expect(page.locator('.token[data-map="false"]')).toHaveCount(0);
});

slow(
  'Stop keeps what has come, marked as partial, and Ask again gives the whole',
  async ({ opened: page, companion }) => {
    await put(page, 'Describe the image.');
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
  'while others are answered, the page says how many, and the former answer stays',
  async ({ opened: page, companion }) => {
    const former = await tokens(page).count();
    await page.evaluate(() => {
      const places: string[] = [];
      Object.assign(window, { places });
      new MutationObserver(() => {
        const text = document.querySelector('.ask-message')?.textContent ?? '';
        if (text.startsWith('Queued') && places.at(-1) !== text) places.push(text);
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    const picture = await (await page.request.get('/samples/scene-1.png')).body();
    const begun = [1, 2, 3].map(async () => {
      const body = new FormData();
      body.set(
        'request',
        new Blob([JSON.stringify({ question: 'Describe the image.' })], { type: 'application/json' }),
      );
      body.set('image', new Blob([new Uint8Array(picture)], { type: 'image/png' }), 'scene-1.png');
      const headers = { Authorization: `Bearer ${secret}` };
      return fetch(`${companion.origin}/v1/generate`, { method: 'POST', body, headers });
    });
    // A stream begins when its question has its place: these three come first.
    const others = await Promise.all(begun);
    await put(page, 'How many objects are there?');
    await expect(message(page)).toContainText(/Queued: \d questions? ahead of yours/);
    expect(await tokens(page).count()).toBe(former);
    await expect(page.locator('.answer-question')).not.toHaveText('How many objects are there?');
    await expect(eyebrow(page)).toHaveText('Answer', { timeout: 120_000 });
    const places = await page.evaluate(() => (window as unknown as { places: string[] }).places);
    expect(places.length, 'it moved up').toBeGreaterThan(1);
    expect(others.map((response) => response.status)).toEqual([200, 200, 200]);
    await Promise.all(others.map((response) => response.arrayBuffer()));
  },
);

test.describe('where something fails', () => {
  test.use({ tolerated: /Failed to load resource|net::ERR/ });

  test('a question that the companion refuses is refused with its numbers', async ({ opened: page }) => {
    await put(page, 'what color is the large sphere '.repeat(260));
    await expect(message(page)).toContainText(/The question has \d+ characters, the limit is 8000\./);
  });

  slow(
    'silent in the middle of an answer: the page says so, and Stop keeps what came',
    async ({ opened: page, companion }) => {
      await put(page, 'Describe the image.');
      await freezeInAnswer(page, companion, 3);
      try {
        await expect(message(page)).toHaveText('Nothing new has arrived for a while. Stop keeps what is here.');
        await page.getByRole('button', { name: 'Stop' }).click();
        await expect(eyebrow(page)).toHaveText('Partial answer');
      } finally {
        companion.thaw();
      }
      await ask(page, 'How many objects are there?');
    },
  );

  /** What the companion sends, as it would arrive over a line that damages it. */
  async function damage(page: Page, change: (body: Buffer) => Buffer): Promise<void> {
    await page.route('**/v1/generate', async (route: Route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: change(await response.body()) });
    });
  }

  test('cut off: partial, with the connection named, and the companion still there', async ({ opened: page }) => {
    await damage(page, (body) => body.subarray(0, Math.floor(body.length * 0.9)));
    await put(page, 'Describe the image.');
    await expect(eyebrow(page)).toHaveText('Partial answer');
    await expect(hint(page)).toContainText('Interrupted: the connection to the companion was lost. Ask again');
    await expect(status(page)).toContainText('on the companion');
  });

  test('damaged: partial, with what is wrong', async ({ opened: page }) => {
    // A piece is missing from among its last tokens.
    await damage(page, (body) =>
      Buffer.concat([body.subarray(0, body.length - 4000), body.subarray(body.length - 3000)]),
    );
    await put(page, 'Describe the image.');
    await expect(eyebrow(page)).toHaveText('Partial answer');
    await expect(hint(page)).toContainText('Interrupted');
    expect(await tokens(page).count()).toBeGreaterThan(3);
  });

  test('of another version: no answer, both versions named, the former answer kept', async ({ opened: page }) => {
    const former = await tokens(page).count();
    await damage(page, (body) =>
      Buffer.from(body.toString('latin1').replace('"formatVersion": 2', '"formatVersion": 7'), 'latin1'),
    );
    await put(page, 'How many objects are there?');
    await expect(message(page)).toHaveText('No answer: This run has format version 7; this page supports version 2.');
    expect(await tokens(page).count()).toBe(former);
  });

  test('a companion of another protocol is not connected to, and both are named', async ({ page, companion }) => {
    await page.route('**/v1/health', (route) =>
      route.fulfill({ json: { status: 'ready', version: '9.1', protocol: 3 } }),
    );
    await page.goto(companion.address);
    await expect(status(page)).toContainText('Not connected to the companion');
    await expect(message(page)).toHaveText(
      'Not connected: the companion (9.1) speaks protocol 3; this page supports 2.',
    );
    await page.unroute('**/v1/health');
    await page.getByRole('button', { name: 'Reconnect' }).click();
    await expect(status(page)).toContainText('on the companion');
  });

  async function changeHead(page: Page, change: object): Promise<void> {
    await page.route('**/v1/model', async (route) => {
      const facts = await (await route.fetch()).json();
      const trainCommand = 'patchlight collect --model models/patchlight-scenes --out samples && patchlight train';
      await route.fulfill({ json: { ...facts, head: { ...facts.head, ...change }, trainCommand } });
    });
  }

  test('a head that does not fit: the answer comes without maps, both sides named', async ({ page, companion }) => {
    await changeHead(page, { hiddenSize: 4096, stage: 'pre_norm' });
    await openPage(page, companion.address);
    await ask(page, 'How many objects are there?');
    await expect(page.locator('.notice')).toContainText(
      'Head fastrm reads pre_norm states of size 4096, but patchlight-scenes produces post_norm states of size 192.',
    );
    await expect(page.locator('canvas.stage-map')).toHaveCount(0);
    expect(await tokens(page).count()).toBeGreaterThan(1);
  });

  test('looks as it should, unconnected and without maps', withGoldens, async ({ page, companion }) => {
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
    await page.evaluate(() => window.scrollTo(0, 0));
    await shot(page, 'without-maps', ['desktop', 'light'], { region: page.locator('main') });
    await shot(page, 'without-maps', ['phone', 'light'], { region: page.locator('main') });
  });
});

test.describe('with an empty cache', () => {
  test.use({ isFresh: true });

  test('a head whose file is not the one that was promised is not used', async ({ page, companion }) => {
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

alone.describe('a companion that dies', () => {
  alone.use({ isSlow: true, isFresh: true, tolerated: /Failed to load resource|net::ERR/ });

  alone(
    'in the middle of an answer: what came stays, and reconnecting to the next one works',
    async ({ page, companion: first }) => {
      alone.setTimeout(300_000);
      await openPage(page, first.address);
      await put(page, 'Describe the image.');
      await freezeInAnswer(page, first, 4);
      const came = await tokens(page).count();
      await first.kill();
      await expect(eyebrow(page)).toHaveText('Partial answer');
      await expect(hint(page)).toContainText('Interrupted: the connection to the companion was lost.');
      expect(await tokens(page).count()).toBeGreaterThanOrEqual(came);
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
    },
  );
});

alone.describe('a model without a head', () => {
  alone.use({ isHeadless: true, isFresh: true });

  alone(
    'gives the answer, says that it has no maps, and the command that trains a head',
    async ({ page, companion }) => {
      await openPage(page, companion.address);
      await ask(page, 'How many objects are there?');
      const notice = page.locator('.notice');
      await expect(notice).toContainText('patchlight-scenes has no FastRM head, so its answers come without maps.');
      await expect(notice.locator('code')).toContainText('patchlight train');
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
      await notice.getByRole('button', { name: 'Copy' }).click();
      await expect(notice.getByRole('button', { name: 'Copied' })).toBeVisible();
      const copied = await page.evaluate(() => navigator.clipboard.readText());
      expect(copied).toBe(await notice.locator('code').innerText());
      await expect(page.locator('.readout-title')).toHaveText('This run has no maps');
      await token(page, 1).click();
      await expect(page.locator('.inspector')).toContainText('Token 2 of');
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await axeFaults(page)).toEqual([]);
      }
    },
  );
});
