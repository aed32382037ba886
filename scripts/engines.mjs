// @ts-check
// Walks through the built page in Firefox and WebKit and compares their numbers with Chromium's: e2e/engines/.
// An engine that is not installed is left out with a message; in CI, it must be there.
//   node scripts/engines.mjs
import { readdirSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { findOnPath, isExecutable } from './browser.mjs';
import { root, run } from './shell.mjs';

/**
 * @typedef {object} Engines paths of the installed programs; an engine that lacks one is undefined
 * @property {string | undefined} firefox
 * @property {{ driver: string, browser: string, display: string } | undefined} webkit
 */

/** @typedef {'firefox' | 'webkit'} EngineName */

/** Debian's packages for each engine. */
const packages = { firefox: ['firefox-esr'], webkit: ['webkit2gtk-driver', 'xvfb'] };
const names = { firefox: 'Firefox', webkit: 'WebKit' };

/** @returns {Engines} */
export function findEngines() {
  const driver = findOnPath(['WebKitWebDriver']);
  const display = findOnPath(['Xvfb']);
  const browser = findMiniBrowser();
  return {
    firefox: findOnPath(['firefox-esr', 'firefox']),
    webkit: driver && display && browser ? { driver, browser, display } : undefined,
  };
}

/** WebKitGTK's browser for tests is not on the PATH: Debian has it next to the engine's own processes. */
function findMiniBrowser() {
  return listed('/usr/lib')
    .flatMap((machine) => listed(machine).filter((folder) => path.basename(folder).startsWith('webkit2gtk-')))
    .map((folder) => path.join(folder, 'MiniBrowser'))
    .findLast(isExecutable);
}

/** @param {string} folder */
function listed(folder) {
  try {
    return readdirSync(folder)
      .toSorted()
      .map((name) => path.join(folder, name));
  } catch {
    return [];
  }
}

/**
 * Says which engines are missing and how to install them; undefined if none is.
 * @param {Engines} engines
 */
export function missingEngines(engines) {
  const missing = /** @type {EngineName[]} */ (['firefox', 'webkit']).filter((name) => engines[name] === undefined);
  if (missing.length === 0) return undefined;
  const what = missing.map((name) => names[name]).join(' and ');
  const install = missing.flatMap((name) => packages[name]).join(' ');
  return `${what} not found; on Debian: apt-get install --no-install-recommends ${install}`;
}

async function main() {
  const engines = findEngines();
  const missing = missingEngines(engines);
  if (missing !== undefined && process.env.CI) throw new Error(missing);
  if (missing !== undefined) console.log(`skipped: ${missing}`);
  if (engines.firefox === undefined && engines.webkit === undefined) return;
  await run(path.join(root, 'node_modules/.bin/playwright'), ['test', '--config', 'e2e/engines/playwright.config.ts']);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main().catch((error) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
}
