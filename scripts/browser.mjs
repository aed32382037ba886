// @ts-check
// Finds the Chromium binary for tests and benchmarks. Tests prefer a headless shell: the goldens are rendered with it, and
// it uses a fifth less CPU time than a full browser.
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { run } from './shell.mjs';

const shellNames = ['chromium-headless-shell', 'chrome-headless-shell'];
const systemNames = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const macPaths = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** @param {string} file */
export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param {readonly string[]} names */
export function findOnPath(names) {
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean);
  return names.flatMap((name) => folders.map((folder) => path.join(folder, name))).find(isExecutable);
}

async function playwrightBrowser() {
  const { chromium } = await import('@playwright/test');
  const file = chromium.executablePath();
  return isExecutable(file) ? file : undefined;
}

/**
 * Which browser is preferred: a headless shell for tests, a full browser for benchmarks.
 * @typedef {'shell' | 'full'} BrowserKind
 */

/**
 * Returns the path of the browser, or undefined if there is none. Does not install anything.
 * @param {BrowserKind} [kind]
 * @returns {Promise<string | undefined>}
 */
export async function findBrowser(kind = 'shell') {
  const chosen = process.env.PATCHLIGHT_BROWSER;
  if (chosen) {
    if (!isExecutable(chosen)) throw new Error(`PATCHLIGHT_BROWSER names ${chosen}, which is not executable`);
    return chosen;
  }
  const shell = findOnPath(shellNames);
  const full = (await playwrightBrowser()) ?? findOnPath(systemNames) ?? macPaths.find(isExecutable);
  return kind === 'shell' ? (shell ?? full) : (full ?? shell);
}

/** @param {string} browser */
export const isHeadlessShell = (browser) => shellNames.includes(path.basename(browser));

/**
 * Installs the preferred browser if apt-get can. Otherwise any Chromium will do, though the screenshots of a full browser
 * differ from the goldens.
 * @param {BrowserKind} [kind]
 * @returns {Promise<string>}
 */
export async function ensureBrowser(kind = 'shell') {
  const found = await findBrowser(kind);
  const isPreferred =
    found !== undefined && (process.env.PATCHLIGHT_BROWSER || kind === 'full' || isHeadlessShell(found));
  if (!isPreferred && process.platform === 'linux' && process.getuid?.() === 0)
    await attempt(() => aptInstall(kind === 'shell' ? 'chromium-headless-shell' : 'chromium'));
  const existing = await findBrowser(kind);
  if (existing) return existing;
  await attempt(() => run('npx', ['playwright', 'install', 'chromium'], watched));
  const installed = await findBrowser(kind);
  if (installed) return installed;
  throw new Error('no Chromium was found or could be installed: install one, or set PATCHLIGHT_BROWSER to its path');
}

/** A download hangs without output if its host is unreachable. */
const watched = { stallMs: 2 * 60_000, onOutput: (/** @type {string} */ text) => void process.stdout.write(text) };

/** @param {string} name */
async function aptInstall(name) {
  const options = { ...watched, env: { DEBIAN_FRONTEND: 'noninteractive' } };
  await run('apt-get', ['update', '-q'], options);
  await run('apt-get', ['install', '-y', '-q', '--no-install-recommends', name], options);
}

/** @param {() => Promise<unknown>} install */
async function attempt(install) {
  try {
    await install();
  } catch (error) {
    console.log(`  ${error instanceof Error ? error.message : error}`);
  }
}
