// @ts-check
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from 'vite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import config from '../vite.config.ts';
import { entryImports } from './worker-entries.mjs';

/** A page whose worker shares code with a chunk that it imports lazily. */
const sources = {
  'index.html': '<script type="module" src="./main.js"></script>',
  'main.js': "new Worker(new URL('./table.worker.ts', import.meta.url), { type: 'module' });",
  'table.worker.ts': "import { serve } from './service.js';\nserve();",
  'service.js': `import { stamp } from './stamp.js';
export const serve = () =>
  addEventListener('message', async () => {
    const { parse } = await import('./parse.js');
    postMessage([stamp('served'), parse()]);
  });`,
  'parse.js': "import { stamp } from './stamp.js';\nexport const parse = () => stamp('parsed');",
  'stamp.js': 'export const stamp = (text) => [text, performance.now(), text.length].join();',
};

/** @type {string} */
let root;

beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'patchlight-worker-'));
  for (const [name, text] of Object.entries(sources)) writeFileSync(path.join(root, name), text);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

/** @param {import('vite').UserConfig['worker']} worker */
async function builtAssets(worker) {
  await build({ root, configFile: false, logLevel: 'silent', ...(worker && { worker }) });
  return path.join(root, 'dist/assets');
}

it('finds a lazily imported chunk that imports a worker’s entry', async () => {
  const found = entryImports(await builtAssets({ format: 'es' }));
  expect(found.join()).toMatch(/^dist\/assets\/parse-[\w-]+\.js names table\.worker-[\w-]+\.js, a worker's entry$/);
});

it('finds none if the page’s configuration builds the workers', async () => {
  expect(entryImports(await builtAssets(config.worker))).toEqual([]);
});

it('reports a folder without workers', () => {
  mkdirSync(path.join(root, 'assets'));
  expect(entryImports(path.join(root, 'assets'))).toEqual([expect.stringContaining('no worker')]);
});
