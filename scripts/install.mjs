// @ts-check
// Installs any missing prerequisites of the steps.
//   node scripts/install.mjs node python browser
import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { ensureBrowser } from './browser.mjs';
import { ensureExtras } from './extras.mjs';
import { ensurePython } from './python.mjs';
import { root, run } from './shell.mjs';

/** @typedef {import('./steps.mjs').Need} Need */

async function ensureNode() {
  if (!existsSync(path.join(root, 'node_modules/.package-lock.json'))) await run('npm', ['ci']);
}

/** Order matters: finding a browser needs an npm package, and building the wheel for the extras needs Python. */
const installers = {
  node: ensureNode,
  python: ensurePython,
  extras: ensureExtras,
  browser: async () => {
    const browser = await ensureBrowser();
    process.env.PATCHLIGHT_BROWSER = browser;
    console.log(`browser: ${browser}`);
  },
  'full-browser': async () => void (await ensureBrowser('full')),
};

/**
 * @param {ReadonlySet<Need>} needs
 * @returns {Promise<Map<Need, string>>} reasons for failed installations
 */
export async function install(needs) {
  /** @type {Map<Need, string>} */
  const failures = new Map();
  for (const need of /** @type {Need[]} */ (Object.keys(installers))) {
    if (!needs.has(need)) continue;
    try {
      await installers[need]();
    } catch (error) {
      failures.set(need, error instanceof Error ? error.message : String(error));
    }
  }
  return failures;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const failures = await install(new Set(/** @type {Need[]} */ (process.argv.slice(2))));
  for (const [need, reason] of failures) console.error(`${need}: ${reason}`);
  process.exitCode = failures.size === 0 ? 0 : 1;
}
