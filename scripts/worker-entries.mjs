// @ts-check
// Finds chunks of the built page that import a worker's entry. WebKit runs such an entry a second time, so that two
// services answer each message to the worker.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Only the page itself starts workers, so only its entry may name theirs. */
const pageEntry = /^index-[\w-]+\.js$/;

/**
 * Describes each script in the folder that names the entry of a worker.
 * @param {string} assets the built page's `assets/`
 * @returns {string[]}
 */
export function entryImports(assets) {
  const scripts = readdirSync(assets).filter((name) => /\.m?js$/.test(name));
  if (!scripts.some((name) => name.includes('.worker-'))) return [`${assets} holds no worker, so nothing was checked`];
  return scripts
    .filter((name) => !pageEntry.test(name))
    .flatMap((name) => {
      const entries = readFileSync(path.join(assets, name), 'utf8').match(/[\w-]+\.worker-[\w-]+\.js/g) ?? [];
      return [...new Set(entries)].map((entry) => `dist/assets/${name} names ${entry}, a worker's entry`);
    });
}
