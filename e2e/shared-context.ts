import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, BrowserContext, Page } from '@playwright/test';

/**
 * Browser contexts shared by the tests of one worker, one per origin. Each test opens its own page in its context; the
 * model's files stay cached between pages.
 */
export interface SharedContexts {
  /** `entry` is the first URL to request; it includes the token if the origin requires one. */
  get(origin: string, entry: string): Promise<BrowserContext>;
  /** Clears what a test stored, except the model's files. */
  reset(origin: string): Promise<void>;
  destroy(): Promise<void>;
}

interface Shared {
  readonly context: BrowserContext;
  /** An empty page that stays open. */
  readonly anchor: Page;
}

/** `compiled` lists the onnxruntime builds to compile in advance. */
export function createSharedContexts(browser: Browser, compiled: readonly string[]): SharedContexts {
  const contexts = new Map<string, Promise<Shared>>();
  return {
    async get(origin, entry) {
      const shared = contexts.get(origin) ?? open(browser, origin, entry, compiled);
      contexts.set(origin, shared);
      return (await shared).context;
    },
    async reset(origin) {
      const shared = await contexts.get(origin);
      await shared?.context.clearCookies();
      await shared?.anchor.evaluate(() => localStorage.clear());
    },
    async destroy() {
      for (const shared of contexts.values()) await (await shared).context.close();
    },
  };
}

async function open(browser: Browser, origin: string, entry: string, compiled: readonly string[]): Promise<Shared> {
  const context = await browser.newContext({ baseURL: origin });
  await context.request.get(entry);
  const anchor = await context.newPage();
  await anchor.route('**/anchor', (route) => route.fulfill({ contentType: 'text/html', body: '', headers: isolation }));
  await anchor.goto('/anchor');
  await anchor.evaluate(
    keepCompiled,
    compiled.map((build) => `/assets/${wasmFile(build)}`),
  );
  return { context, anchor };
}

/** The product's headers. With different headers, the anchor would run in a different process from the tested pages. */
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** Compiles onnxruntime in advance: Chromium compiles the same bytes once per process, so later pages reuse it. */
async function keepCompiled(urls: readonly string[]): Promise<void> {
  const compile = async (url: string) => WebAssembly.compile(await (await fetch(url)).arrayBuffer());
  Object.assign(window, { modules: await Promise.all(urls.map(compile)) });
}

function wasmFile(build: string): string {
  const files = readdirSync(path.join(import.meta.dirname, '../dist/assets'));
  const file = files.find((name) => name.startsWith(`${build}-`) && name.endsWith('.wasm'));
  if (file === undefined) throw new Error(`dist/assets has no ${build}: run \`npm run build\``);
  return file;
}
