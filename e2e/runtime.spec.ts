// Tests the inference code in a real browser: that both backends compute the same maps, that it recovers when a backend
// fails, and that the complete path from an image to its maps matches results saved by Python.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from '@playwright/test';
import { build, type PreviewServer, preview } from 'vite';
import { findBrowser } from '../scripts/browser.mjs';
import { browserArguments } from './browser-arguments';
import { expect, test as plain } from './page';
import type { RuntimeTests } from './runtime/page';

/** Run WebGPU in SwiftShader, without a GPU. It is slow, so only correctness is tested. */
const softwareGpu = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--use-vulkan=swiftshader',
  '--use-angle=swiftshader',
  '--disable-vulkan-surface',
];

const configFile = path.resolve(import.meta.dirname, 'runtime/vite.config.ts');

/** Tests the page in `runtime/`, which the test worker builds and serves. */
const test = plain.extend<{ opened: undefined }, { server: PreviewServer }>({
  server: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright requires this form
    async ({}, use) => {
      await build({ configFile, logLevel: 'error' });
      const server = await preview({ configFile, logLevel: 'error', preview: { port: 0 } });
      await use(server);
      await server.close();
    },
    { scope: 'worker', auto: true, timeout: 180_000 },
  ],
  baseURL: async ({ server }, use) => use(server.resolvedUrls?.local[0]?.replace(/\/$/, '')),
  opened: [
    async ({ page }, use) => {
      await open(page);
      await use(undefined);
    },
    { auto: true },
  ],
});

test.use({
  launchOptions: { executablePath: (await findBrowser()) ?? '', args: [...browserArguments, ...softwareGpu] },
  compiled: ['ort-wasm-simd-threaded', 'ort-wasm-simd-threaded.jspi'],
});
// One worker: the tests share the server.
test.describe.configure({ mode: 'default' });

async function open(page: Page): Promise<void> {
  await page.goto('/');
  await page.waitForFunction(() => window.runtimeTests !== undefined);
}

/** Calls one of the page's functions by name. */
function call<Name extends keyof RuntimeTests>(
  page: Page,
  name: Name,
  ...inputs: Parameters<RuntimeTests[Name]>
): Promise<Awaited<ReturnType<RuntimeTests[Name]>>> {
  return page.evaluate(
    ([method, values]) =>
      (window.runtimeTests as unknown as Record<string, (...all: unknown[]) => never>)[method]!(...values),
    [name, inputs] as const,
  );
}

const question = 'Describe the image.';

async function firstImage(page: Page): Promise<string> {
  const index = await (await page.request.get('/samples/index.json')).json();
  return `samples/${index.images[0].file}`;
}

interface ExpectedPicture {
  readonly widthPx: number;
  readonly heightPx: number;
  /** In Base64, as Python reads it. */
  readonly rgb: string;
}

test('an image file of any kind has the same pixels in Python, decoded, shown and sent', async ({ page }) => {
  const folder = path.resolve(import.meta.dirname, '../src/inference/fixtures/pictures');
  const expected: Record<string, ExpectedPicture> = JSON.parse(readFileSync(path.join(folder, 'pixels.json'), 'utf8'));
  for (const [name, { widthPx, heightPx, rgb }] of Object.entries(expected)) {
    const picture = await call(page, 'picture', readFileSync(path.join(folder, name)).toString('base64'));
    expect([name, ...picture.sizes]).toEqual([name, [widthPx, heightPx], [widthPx, heightPx]]);
    const bytes = picture.rgb.map((text) => Buffer.from(text, 'base64'));
    const isExact = !/jpg$|lossy/.test(name);
    // Decoders of JPEG may round differently; CMYK is converted by rules of the decoder's own.
    const tolerance = isExact ? 0 : name === 'cmyk.jpg' ? 3 : 2;
    for (const actual of bytes) expect([name, largestDifferenceOf(actual, rgb) <= tolerance]).toEqual([name, true]);
    expect(picture.isPng).toBe(true);
    expect(picture.pixelsSha256).toBe(createHash('sha256').update(bytes[2]!).digest('hex'));
  }
});

function largestDifferenceOf(actual: Buffer, expectedInBase64: string): number {
  const expected = Buffer.from(expectedInBase64, 'base64');
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  return actual.reduce((largest, value, i) => Math.max(largest, Math.abs(value - expected[i]!)), 0);
}

test('the browser has a WebGPU adapter', async ({ page }) => {
  expect(await call(page, 'adapter')).toMatch(/swiftshader/i);
});

test('WebGPU computes the same maps and words as WASM', async ({ page }) => {
  const { backends, difference, spread, wordSpread } = await call(page, 'compareBackends');
  expect(backends).toEqual(['webgpu', 'wasm']);
  expect(spread, 'the maps are not flat').toBeGreaterThan(0.3);
  expect(wordSpread, 'nor are the words').toBeGreaterThan(0.1);
  expect(difference).toBeLessThan(1e-3);
});

test('a software adapter is used only on request', async ({ page }) => {
  expect(await call(page, 'choose', 'auto')).toMatchObject({ backend: 'wasm' });
  expect(await call(page, 'choose', 'webgpu')).toMatchObject({ backend: 'webgpu' });
  expect(await call(page, 'choose', 'wasm')).toMatchObject({ backend: 'wasm' });
});

test('unusable weights for words cost neither the maps nor WebGPU', async ({ page }) => {
  const { note, ...rest } = await call(page, 'chooseWithBrokenWords');
  expect(rest).toEqual({ backend: 'webgpu', values: 100 * 576, hasWords: false });
  expect(note).toMatch(/^The head’s output for words cannot be used: .*NaN/);
});

for (const when of ['between', 'during'] as const) {
  test(`losing the device ${when} calls loses no maps, then or later`, async ({ page }) => {
    const { backends, difference, note } = await call(page, 'loseDevice', when);
    expect(backends).toEqual(['webgpu', 'wasm', 'wasm']);
    expect(difference).toBeLessThan(1e-3);
    expect(note).toBeDefined();
  });
}

for (const backend of ['webgpu', 'wasm'] as const) {
  test(`a session that fails on ${backend} does not affect later ones`, async ({ page }) => {
    const { failure, values } = await call(page, 'afterFailure', backend);
    expect(failure).toContain('protobuf parsing failed');
    expect(values).toBe(100 * 576);
  });
}

test('without cross-origin isolation, inference runs on one thread', async ({ page }) => {
  expect((await call(page, 'choose', 'wasm')).threads).toBeGreaterThan(1);
  await page.route('/', async (route) => {
    const response = await route.fetch();
    const headers = Object.entries(response.headers()).filter(([name]) => !name.startsWith('cross-origin'));
    await route.fulfill({ response, headers: Object.fromEntries(headers) });
  });
  await open(page);
  expect(await call(page, 'choose', 'wasm')).toMatchObject({ backend: 'wasm', threads: 1 });
});

test('an answer streams in order: begin, prompt, tokens and maps in turn, end', async ({ page }) => {
  const { events, progress, status } = await call(page, 'answer', await firstImage(page), question);
  const types = events.map(({ type }) => type);
  expect(types[0]).toBe('begin');
  expect(types.at(-1)).toBe('end');
  expect(types[1]).toBe('prompt');
  const middle = types.slice(2, -1);
  expect(middle.length).toBeGreaterThan(0);
  expect(middle).toEqual(middle.map((_, i) => (i % 2 === 0 ? 'token' : 'map')));
  expect(status).toMatchObject({ phase: 'ready', backend: 'wasm' });

  const bytes = progress.map(({ loadedBytes }) => loadedBytes);
  expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
  expect(progress.at(-1)!.loadedBytes).toBe(progress.at(-1)!.totalBytes);
  for (const event of events) {
    if (event.type !== 'token') continue;
    const { alternatives, tokenId, logProb } = event.token;
    expect(alternatives).toHaveLength(5);
    expect(alternatives[0]).toMatchObject({ tokenId, logProb });
  }
});

test('stopping a long answer ends it after the current token, in the worker too', async ({ page }) => {
  const image = await firstImage(page);
  const ask = async (stopAfter?: number) => {
    const { events } = await call(page, 'answer', image, 'Describe the image.', stopAfter);
    const end = events.flatMap((event) => (event.type === 'end' ? [event.end] : []))[0]!;
    return { types: events.map(({ type }) => type), end };
  };
  const ratios: number[] = [];
  // A busy machine can slow down the stopped answer more than the complete one, so there are three attempts.
  for (let attempt = 0; attempt < 3 && !ratios.some((ratio) => ratio < 0.7); attempt++) {
    const complete = await ask();
    const stopped = await ask(2);
    expect(stopped.types).toEqual(['begin', 'prompt', 'token', 'map', 'token', 'map', 'end']);
    expect(stopped.end.reason).toBe('cancelled');
    expect(complete.types.length, 'the answer is long').toBeGreaterThan(30);
    ratios.push(stopped.end.answerMs / complete.end.answerMs);
  }
  expect(Math.min(...ratios), 'the worker stopped early').toBeLessThan(0.7);
});

test('earlier questions do not affect an answer', async ({ page }) => {
  const index = await (await page.request.get('/samples/index.json')).json();
  const images = index.images.map(({ file }: { file: string }) => `samples/${file}`);
  const { stoppedEnd, ends, counts, sameImageDifference, otherImageDifference } = await call(
    page,
    'askInTurns',
    images,
    question,
  );
  expect(stoppedEnd).toBe('cancelled');
  expect(ends).toEqual(['length', 'length', 'length']);
  expect(counts).toEqual([4, 4, 4]);
  expect(sameImageDifference).toBe(0);
  expect(otherImageDifference, 'another image has other maps').toBeGreaterThan(0);
});

test('the worker, too, computes maps with WebGPU on request', async ({ page }) => {
  const { events, status } = await call(page, 'answer', await firstImage(page), question, 2, 'webgpu');
  expect(status).toMatchObject({ phase: 'ready', backend: 'webgpu' });
  const backends = events.flatMap((event) => (event.type === 'map' ? [event.map.backend] : []));
  expect(new Set(backends)).toEqual(new Set(['webgpu']));
});

test('answers and maps match those saved by Python', async ({ page }) => {
  const index = await (await page.request.get('/samples/index.json')).json();
  expect(index.runs.length).toBeGreaterThan(0);
  const files = index.runs.map(({ file }: { file: string }) => `samples/${file}`);
  for (const [i, result] of (await call(page, 'compareWithRuns', files)).entries()) {
    const label = `${files[i]}: ${result.question}`;
    expect(result.texts[1], label).toEqual(result.texts[0]);
    expect(result.words[1], label).toEqual(result.words[0]);
    expect(result.prompts[1], label).toEqual(result.prompts[0]);
    expect(result.ends[1], label).toEqual(result.ends[0]);
    expect(result.models[1], label).toEqual(result.models[0]);
    const [expected, actual] = result.geometries.map(({ frames }) => frames[0].crop);
    for (const side of ['xPx', 'yPx', 'widthPx', 'heightPx'] as const)
      expect(actual![side], label).toBeCloseTo(expected![side], 6);
    // The page has fp16 weights and Python has float32 weights, so probabilities differ in the third decimal.
    expect(result.mapDifference, label).toBeLessThan(5e-3);
    expect(result.wordMaps[0], label).toBe(result.texts[0]?.length);
    expect(result.wordMaps[1], label).toBe(result.wordMaps[0]);
    expect(result.wordDifference, label).toBeLessThan(5e-3);
    expect(result.logProbDifference, label).toBeLessThan(2e-2);
  }
});

const explained = JSON.parse(
  readFileSync(path.resolve(import.meta.dirname, '../src/inference/fixtures/explained-run-1.json'), 'utf8'),
);
const floats = (base64: string) => Array.from(new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer));

function relativeError(actual: readonly number[], expected: readonly number[]): number {
  expect(actual).toHaveLength(expected.length);
  return Math.hypot(...expected.map((value, i) => value - actual[i]!)) / (Math.hypot(...expected) || 1);
}

test("a recorded run's maps match autograd, and recomputing its answer gives the recorded tokens", async ({ page }) => {
  const { before, after, explained: results } = await call(page, 'explainRun', 'samples/run-1.run', explained.wanted);
  expect(before.chefer).toContain('still loading');
  expect(after).toMatchObject({ fastrm: 'none', chefer: 'none', random: 'none' });
  expect(after['chefer-incremental']).toContain('companion');
  const methods = results.map(({ method }) => method);
  expect(methods.toSorted()).toEqual([...Object.keys(explained.picture.maps), 'random'].toSorted());
  for (const { method, types, check, maps } of results) {
    expect(maps.map(({ tokenIndex }) => tokenIndex)).toEqual(explained.wanted);
    if (method === 'random') continue;
    expect(types).toEqual(['check', ...explained.wanted.map(() => 'map'), 'end']);
    expect(check!.isSame).toBe(true);
    expect(check!.largestDifference).toBeLessThan(1e-4);
    for (const [i, expected] of explained.picture.maps[method].entries()) {
      // Both sides have the same fp16 weights; only the order of summation differs, including in image scaling.
      expect(relativeError(maps[i]!.values, floats(expected.values)), `${method}, map ${i}`).toBeLessThan(1e-4);
      if (expected.prompt)
        expect(relativeError(maps[i]!.text!.prompt, floats(expected.prompt)), method).toBeLessThan(1e-4);
    }
  }
});

test('a question asked during an explanation waits for one map at most, and stopping keeps the finished maps', async ({
  page,
}) => {
  const { order, tokens } = await call(page, 'askWhileExplaining', 'samples/run-3.run', 'How many cubes are there?', 6);
  const answered = order.findIndex((step) => step.startsWith('answered There'));
  expect(answered).toBeGreaterThan(0);
  expect(answered, 'before the last map').toBeLessThan(order.lastIndexOf('map'));
  expect([order[0], order.at(-1)]).toEqual(['check', 'cancelled']);
  const maps = order.filter((step) => step === 'map').length;
  expect(maps).toBeGreaterThanOrEqual(6);
  expect(
    maps,
    `of ${tokens}: including the one in progress when it was stopped, and any that a busy page reads late`,
  ).toBeLessThan(12);
  expect(tokens).toBeGreaterThan(30);
});

test.describe('with an empty cache', () => {
  test.use({ isFresh: true });

  test('a file that does not match its checksum is rejected, and loading again works', async ({ page }) => {
    await page.route(
      '**/head/fastrm.bin',
      async (route) => {
        const response = await route.fetch();
        const body = await response.body();
        body[0] = body[0]! ^ 1;
        await route.fulfill({ response, body });
      },
      { times: 1 },
    );
    const { first, between, after } = await call(page, 'loadTwice');
    expect(first).toContain('head/fastrm.bin does not match its checksum');
    expect(between).toMatchObject({ phase: 'failed' });
    expect(after).toMatchObject({ phase: 'ready' });
  });

  test('a worker that cannot start fails the load, and loading again works', async ({ page }) => {
    await page.route('**/embedded.worker*.js', (route) => route.fulfill({ status: 503 }), { times: 1 });
    const { first, after } = await call(page, 'loadTwice');
    expect(first).toContain("the model's worker failed");
    expect(after).toMatchObject({ phase: 'ready' });
  });

  test('a second visit loads the model from the cache', async ({ page }) => {
    await call(page, 'loadTwice');
    const fetched: string[] = [];
    page.on('request', (request) => fetched.push(new URL(request.url()).pathname));
    await open(page);
    await call(page, 'loadTwice');
    expect(fetched).toContain('/models/patchlight-scenes/manifest.json');
    expect(fetched.filter((file) => /\.(onnx|bin)$/.test(file))).toEqual([]);
  });

  test('graphs that explain answers are fetched on first use and cached', async ({ page }) => {
    const fetched: string[] = [];
    page.on('request', (request) => fetched.push(new URL(request.url()).pathname.split('/').at(-1)!));
    const files = () => fetched.splice(0).filter((file) => file.startsWith('explain-'));
    await call(page, 'loadTwice');
    expect(files()).toEqual([]);
    await call(page, 'explainRun', 'samples/run-1.run', [0]);
    expect(files()).toContain('explain-chefer.onnx');
    await open(page);
    await call(page, 'explainRun', 'samples/run-1.run', [0]);
    expect(files()).toEqual([]);
  });

  test.describe('with expected console errors', () => {
    test.use({ allowedErrors: /./ });

    test('a runtime that cannot start fails the load, and loading again works', async ({ page }) => {
      await page.route('**/*.wasm', (route) => route.fulfill({ body: 'no wasm', contentType: 'application/wasm' }), {
        times: 1,
      });
      const { first, after } = await call(page, 'loadTwice');
      expect(first).toMatch(/wasm/i);
      expect(after).toMatchObject({ phase: 'ready' });
    });
  });
});
