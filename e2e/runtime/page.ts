// Functions that runtime.spec.ts calls in the browser. Heads run in the page, not in a worker, so that a test can
// destroy their device.
import type {
  AnswerToken,
  ExplainEvent,
  PromptToken,
  RelevancyMap,
  RunEvent,
  RunHeader,
  RunImage,
} from '../../src/contract/run';
import { sha256Hex } from '../../src/contract/sha256';
import {
  chooseHead,
  createHead,
  type Head,
  type HeadFiles,
  headNote,
  largestDifference,
} from '../../src/inference/head';
import { fetchManifest, loadModelFiles } from '../../src/inference/model-files';
import { createPictureClient } from '../../src/inference/picture-client';
import { type BackendChoice, loadRuntime, planRuntime, type Runtime } from '../../src/inference/runtime';
import type { FloatTensor } from '../../src/inference/tensor';
import { createEmbeddedSource } from '../../src/source/embedded-source';
import { openRecorded } from '../../src/source/recorded-run';
import type { RunSource } from '../../src/source/run-source';

const modelUrl = new URL('models/patchlight-scenes/', document.baseURI).href;

/** Returns reproducible noise with a standard deviation near 1. */
function noise(seed: number, rows: number, cols: number): FloatTensor {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * 1.7;
  };
  return { data: Float32Array.from({ length: rows * cols }, uniform), dims: [rows, cols] };
}

interface HeadSetup {
  readonly runtime: Runtime;
  readonly files: HeadFiles;
  readonly patches: FloatTensor;
  readonly prompt: FloatTensor;
  readonly queries: FloatTensor;
  readonly hiddenSize: number;
}

async function openHeadSetup(choice: BackendChoice): Promise<HeadSetup> {
  const manifest = await fetchManifest(modelUrl);
  const quiet = () => {};
  const files = await loadModelFiles(modelUrl, manifest, quiet, quiet);
  const { graph, normGraph, weights, textWeights, hiddenSize } = manifest.head;
  if (textWeights === undefined) throw new Error('the embedded model has no weights for words');
  const headWith = (path: string) => {
    return { name: graph, graph: files(graph), external: [{ path: 'fastrm.bin', data: files(path) }] };
  };
  return {
    runtime: await loadRuntime(await planRuntime(choice), quiet),
    files: {
      norm: { name: normGraph, graph: files(normGraph) },
      head: headWith(weights),
      text: headWith(textWeights),
    },
    patches: noise(1, 576, hiddenSize),
    prompt: noise(3, 12, hiddenSize),
    queries: noise(2, 100, hiddenSize),
    hiddenSize,
  };
}

type HeadOutput = Awaited<ReturnType<Head['maps']>>;

/** Of patches and words; infinite if either output lacks the words. */
function differenceOf(a: HeadOutput, b: HeadOutput): number {
  if (a.prompt === undefined || b.prompt === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(largestDifference(a.patches.data, b.patches.data), largestDifference(a.prompt.data, b.prompt.data));
}

function spreadOf(values: Float32Array): number {
  return values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b));
}

async function fetchImage(url: string): Promise<RunImage> {
  const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const picture = await pictures.read(bytes, url);
  return { bytes, mediaType: 'image/png', name: url, sha256: await sha256Hex(bytes), picture };
}

async function collect(events: AsyncIterable<RunEvent>) {
  const run = { tokens: [] as AnswerToken[], maps: [] as Float32Array[], wordMaps: [] as Float32Array[], end: '' };
  let header: RunHeader | undefined;
  let prompt: readonly PromptToken[] = [];
  for await (const event of events) {
    switch (event.type) {
      case 'prompt':
        prompt = event.tokens;
        break;
      case 'begin':
        header = event.header;
        break;
      case 'token':
        run.tokens.push(event.token);
        break;
      case 'map':
        run.maps[event.map.tokenIndex] = event.map.values;
        if (event.map.text) run.wordMaps[event.map.tokenIndex] = event.map.text.prompt;
        break;
      case 'end':
        run.end = event.end.reason;
        break;
    }
  }
  return { header, prompt, ...run };
}

async function openRun(runUrl: string) {
  return collect(openRecorded(new Uint8Array(await (await fetch(runUrl)).arrayBuffer()), pictures.read));
}

async function readAll<T>(events: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
}

function plainMap({ values, text, ...map }: RelevancyMap) {
  const words = text && { prompt: Array.from(text.prompt), answer: Array.from(text.answer) };
  return { ...map, values: Array.from(values), ...(words && { text: words }) };
}

function isCheck(event: ExplainEvent): event is Extract<ExplainEvent, { type: 'check' }> {
  return event.type === 'check';
}

async function compareWithRun(source: RunSource, runUrl: string) {
  const recorded = await openRun(runUrl);
  const { image, question } = recorded.header!;
  const live = await collect(source.ask({ image, text: question }, new AbortController().signal));
  const differencesOf = (of: 'maps' | 'wordMaps') =>
    recorded[of].map((values, i) => largestDifference(values, live[of][i] ?? new Float32Array()));
  const logProbs = recorded.tokens.map(({ logProb }, i) => Math.abs(logProb - (live.tokens[i]?.logProb ?? 0)));
  return {
    question,
    geometries: [recorded.header!.geometry, live.header!.geometry],
    models: [recorded.header!.model, live.header!.model],
    texts: [recorded.tokens, live.tokens].map((tokens) => tokens.map(({ text }) => text)),
    prompts: [recorded.prompt, live.prompt],
    words: [recorded.tokens, live.tokens].map((tokens) => tokens.map(({ word }) => word)),
    ends: [recorded.end, live.end],
    mapDifference: Math.max(...differencesOf('maps')),
    wordMaps: [recorded.wordMaps.length, live.wordMaps.length],
    wordDifference: Math.max(0, ...differencesOf('wordMaps')),
    logProbDifference: Math.max(...logProbs),
  };
}

/** Keeps only the fields that the tests read, because transferring images and states out of the page is slow. */
function summarise(event: RunEvent) {
  switch (event.type) {
    case 'token': {
      const { alternatives, tokenId, logProb } = event.token;
      return { type: event.type, token: { alternatives, tokenId, logProb } };
    }
    case 'map':
      return { type: event.type, map: { backend: event.map.backend } };
    case 'end':
      return event;
    default:
      return { type: event.type };
  }
}

const pictures = createPictureClient();

/** RGB in Base64, drawn as the page draws it. */
async function rgbOf(image: ImageBitmapSource): Promise<string> {
  const bitmap = await createImageBitmap(image);
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!;
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  return btoa(String.fromCharCode(...data.filter((_, i) => i % 4 < 3)));
}

async function shownImage(blob: Blob): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = URL.createObjectURL(blob);
  await image.decode();
  return image;
}

const tests = {
  /** The picture of an image file: its pixels as decoded, as shown by an image element, and as sent to a companion. */
  async picture(fileInBase64: string) {
    const file = Uint8Array.from(atob(fileInBase64), (letter) => letter.charCodeAt(0));
    const picture = await pictures.read(file, 'file');
    const shown = await shownImage(picture.blob);
    const { png, pngSha256, pixelsSha256 } = await pictures.encode(picture);
    return {
      sizes: [
        [picture.widthPx, picture.heightPx],
        [shown.naturalWidth, shown.naturalHeight],
      ],
      rgb: [await rgbOf(picture.blob), await rgbOf(shown), await rgbOf(png)],
      pixelsSha256,
      isPng: png.type === 'image/png' && pngSha256 === (await sha256Hex(new Uint8Array(await png.arrayBuffer()))),
    };
  },

  async adapter(): Promise<string | undefined> {
    const info = (await navigator.gpu?.requestAdapter())?.info;
    return info && `${info.vendor} ${info.architecture} ${info.description}`.trim();
  },

  /** Largest difference over 100 tokens x 576 patches and 12 words. */
  async compareBackends() {
    const { runtime, files, patches, prompt, queries } = await openHeadSetup('webgpu');
    const webgpu = await createHead(runtime, files, 'webgpu');
    const wasm = await createHead(runtime, files, 'wasm');
    await webgpu.setImage(patches);
    await wasm.setImage(patches);
    await webgpu.setPrompt(prompt);
    await wasm.setPrompt(prompt);
    const [actual, expected] = [await webgpu.maps(queries), await wasm.maps(queries)];
    return {
      backends: [webgpu.backend, wasm.backend],
      difference: differenceOf(actual, expected),
      spread: spreadOf(expected.patches.data),
      wordSpread: spreadOf(expected.prompt!.data),
    };
  },

  async choose(choice: BackendChoice) {
    const { runtime, files, hiddenSize } = await openHeadSetup(choice);
    const { head, note } = await chooseHead(runtime, files, hiddenSize);
    return { backend: head.backend, note, threads: runtime.threads };
  },

  /** Chooses a head whose weights for words are not finite. */
  async chooseWithBrokenWords() {
    const { runtime, files, patches, prompt, queries, hiddenSize } = await openHeadSetup('webgpu');
    const external = files.text!.external!.map(({ path, data }) => ({ path, data: data.slice().fill(0xff, -4) }));
    const chosen = await chooseHead(runtime, { ...files, text: { ...files.text!, external } }, hiddenSize);
    await chosen.head.setImage(patches);
    await chosen.head.setPrompt(prompt);
    const output = await chosen.head.maps(queries);
    return {
      backend: chosen.head.backend,
      note: headNote(chosen, runtime),
      values: output.patches.data.length,
      hasWords: output.prompt !== undefined,
    };
  },

  /** Destroys the device between two calls or during one, then creates a second head. */
  async loseDevice(when: 'between' | 'during') {
    const { runtime, files, patches, prompt, queries } = await openHeadSetup('webgpu');
    const head = await createHead(runtime, files, 'webgpu');
    await head.setImage(patches);
    await head.setPrompt(prompt);
    const before = await head.maps(queries);
    const backendBefore = head.backend;
    const device = runtime.device!;
    if (when === 'between') device.destroy();
    const call = head.maps(queries);
    if (when === 'during') device.destroy();
    const after = await call;
    const second = await createHead(runtime, files, 'webgpu');
    await second.setImage(patches);
    await second.setPrompt(prompt);
    const again = await second.maps(queries);
    return {
      backends: [backendBefore, head.backend, second.backend],
      difference: Math.max(
        differenceOf(before, after),
        differenceOf(before, again),
        differenceOf(before, await head.maps(queries)),
      ),
      note: runtime.deviceNote,
    };
  },

  /** Creates a head from an invalid graph, which must fail, and then one from a valid graph, which must run. */
  async afterFailure(backend: 'webgpu' | 'wasm') {
    const { runtime, files, patches, queries } = await openHeadSetup(backend);
    const broken = { ...files, head: { ...files.head, graph: new Uint8Array(64) } };
    const failure = await createHead(runtime, broken, backend).catch((error: unknown) => String(error));
    const head = await createHead(runtime, files, backend);
    await head.setImage(patches);
    return { failure, values: (await head.maps(queries)).patches.data.length };
  },

  /** Loads twice with the same source; the first load may fail. */
  async loadTwice() {
    const source = createEmbeddedSource({ modelUrl, backend: 'wasm' });
    const first = await source.load().catch((error: unknown) => String(error));
    const between = source.status;
    await source.load();
    const after = source.status;
    source.destroy();
    return { first, between, after };
  },

  /** Asks the questions of runs saved by Python, and compares the answers. */
  async compareWithRuns(runUrls: readonly string[]) {
    const source = createEmbeddedSource({ modelUrl, backend: 'wasm' });
    const compared = [];
    for (const runUrl of runUrls) compared.push(await compareWithRun(source, runUrl));
    source.destroy();
    return compared;
  },

  /** Explains tokens of a saved run with each available method; also returns the refusals before and after loading. */
  async explainRun(runUrl: string, tokenIndices: readonly number[]) {
    const { header, tokens } = await openRun(runUrl);
    const source = createEmbeddedSource({ modelUrl, backend: 'wasm' });
    const refusals = () =>
      Object.fromEntries(source.offers(header!).map(({ method, refusal }) => [method, refusal ?? 'none']));
    const before = refusals();
    await source.load();
    const after = refusals();
    const explained = [];
    for (const { method, refusal } of source.offers(header!)) {
      if (refusal !== undefined || method === 'fastrm') continue;
      const request = { method, header: header!, tokens, tokenIndices };
      const events = await readAll(source.explain(request, new AbortController().signal));
      const maps = events.flatMap((event) => (event.type === 'map' ? [plainMap(event.map)] : []));
      explained.push({ method, types: events.map(({ type }) => type), check: events.find(isCheck)?.check, maps });
    }
    source.destroy();
    return { before, after, explained };
  },

  /**
   * Asks a question while all tokens of a saved run are being explained; stops the explanation after `stopAfter` maps.
   */
  async askWhileExplaining(runUrl: string, question: string, stopAfter: number) {
    const { header, tokens } = await openRun(runUrl);
    const source = createEmbeddedSource({ modelUrl, backend: 'wasm' });
    await source.load();
    const stop = new AbortController();
    const tokenIndices = tokens.map(({ index }) => index);
    const order: string[] = [];
    let answer: Promise<unknown> | undefined;
    for await (const event of source.explain(
      { method: 'chefer', header: header!, tokens, tokenIndices },
      stop.signal,
    )) {
      order.push(event.type === 'end' ? event.reason : event.type);
      answer ??= collect(source.ask({ image: header!.image, text: question }, new AbortController().signal)).then(
        (run) => order.push(`answered ${run.tokens.map(({ text }) => text).join('')}`),
      );
      if (order.filter((type) => type === 'map').length === stopAfter) stop.abort();
    }
    await answer;
    source.destroy();
    return { order, tokens: tokens.length };
  },

  /**
   * Asks one source about one image, then twice about another (cancelling the first attempt), then about the first
   * image again.
   */
  async askInTurns(imageUrls: readonly string[], question: string) {
    const source = createEmbeddedSource({ modelUrl, backend: 'wasm' });
    const ask = async (imageUrl: string, signal = new AbortController().signal) => {
      const image = await fetchImage(imageUrl);
      return collect(source.ask({ image, text: question, maxNewTokens: 4 }, signal));
    };
    const [first, other] = [imageUrls[0]!, imageUrls[1]!];
    const before = await ask(first);
    const stopped = new AbortController();
    const stopping = ask(other, stopped.signal);
    stopped.abort();
    const [cancelled, onOther, after] = [await stopping, await ask(other), await ask(first)];
    source.destroy();
    const differences = (a: typeof before, b: typeof before) =>
      a.maps.map((map, i) => largestDifference(map, b.maps[i]!));
    return {
      stoppedEnd: cancelled.end,
      ends: [before.end, onOther.end, after.end],
      counts: [before.maps.length, onOther.maps.length, after.maps.length],
      sameImageDifference: Math.max(...differences(before, after)),
      otherImageDifference: Math.max(...differences(before, onOther)),
    };
  },

  /** Runs the complete embedded path, through the worker. */
  async answer(imageUrl: string, question: string, stopAfter?: number, backend: BackendChoice = 'auto') {
    const source = createEmbeddedSource({ modelUrl, backend });
    const progress: { loadedBytes: number; totalBytes: number; what: string }[] = [];
    source.subscribe((status) => {
      if (status.phase === 'loading') progress.push(status);
    });
    await source.load();
    const controller = new AbortController();
    const events: RunEvent[] = [];
    const request = { image: await fetchImage(imageUrl), text: question };
    for await (const event of source.ask(request, controller.signal)) {
      events.push(event);
      if (event.type === 'token' && event.token.index + 1 === stopAfter) controller.abort();
    }
    const { status } = source;
    source.destroy();
    return { events: events.map(summarise), progress, status };
  },
};

export type RuntimeTests = typeof tests;

declare global {
  interface Window {
    runtimeTests?: RuntimeTests;
  }
}

window.runtimeTests = tests;
