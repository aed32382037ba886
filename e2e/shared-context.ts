import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, BrowserContext, Page } from '@playwright/test';

/**
 * Browser contexts that the tests of one worker share, one per origin. Each test has its own page in it; the model's
 * files stay cached from page to page.
 */
export interface SharedContexts {
  /** `entry`: the address under which the origin lets a visitor in, where it asks for a token. */
  get(origin: string, entry: string): Promise<BrowserContext>;
  /** Forgets what a test stored, except the model's files. */
  reset(origin: string): Promise<void>;
  destroy(): Promise<void>;
}

interface Shared {
  readonly context: BrowserContext;
  /** A page without the product on it. */
  readonly anchor: Page;
}

/** `compiled`: which of onnxruntime's builds the pages find compiled. */
export function createSharedContexts(browser: Browser, compiled: readonly string[]): SharedContexts {
  const contexts = new Map<string, Promise<Shared>>();
  return {
    async get(origin, entry) {
      const known = contexts.get(origin) ?? open(browser, origin, entry, compiled);
      contexts.set(origin, known);
      return (await known).context;
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

/** The page's own: with others it would be in another process. */
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** Chromium compiles the same bytes once per process: pages opened later find onnxruntime's megabytes compiled. */
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
