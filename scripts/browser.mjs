// @ts-check
// Finds the Chromium binary for tests and benchmarks: the first one available, in the order below. A headless shell
// comes first: the goldens are rendered with it, and it uses a fifth less CPU time than a full browser.
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
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param {readonly string[]} names */
function findOnPath(names) {
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(Boolean);
  return names.flatMap((name) => folders.map((folder) => path.join(folder, name))).find(isExecutable);
}

async function playwrightBrowser() {
  const { chromium } = await import('@playwright/test');
  const file = chromium.executablePath();
  return isExecutable(file) ? file : undefined;
}

/**
 * Returns the browser's path, or undefined if there is none. Does not install anything.
 * @returns {Promise<string | undefined>}
 */
export async function findBrowser() {
  const chosen = process.env.PATCHLIGHT_BROWSER;
  if (chosen) {
    if (!isExecutable(chosen)) throw new Error(`PATCHLIGHT_BROWSER names ${chosen}, which is not executable`);
    return chosen;
  }
  return (
    findOnPath(shellNames) ?? (await playwrightBrowser()) ?? findOnPath(systemNames) ?? macPaths.find(isExecutable)
  );
}

/**
 * Installs a headless shell if there is none and apt-get can install it. Otherwise any Chromium will do, though its
 * screenshots may differ from the goldens.
 * @returns {Promise<string>}
 */
export async function ensureBrowser() {
  const isChosen = Boolean(process.env.PATCHLIGHT_BROWSER) || findOnPath(shellNames) !== undefined;
  if (!isChosen && process.platform === 'linux' && process.getuid?.() === 0) await attempt(installShell);
  const existing = await findBrowser();
  if (existing) return existing;
  // If the download host is unreachable, this hangs without output.
  const watched = { stallMs: 2 * 60_000, onOutput: (/** @type {string} */ text) => void process.stdout.write(text) };
  await attempt(() => run('npx', ['playwright', 'install', 'chromium'], watched));
  const installed = await findBrowser();
  if (installed) return installed;
  throw new Error('no Chromium was found or could be installed: install one, or set PATCHLIGHT_BROWSER to its path');
}

async function installShell() {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-qq']);
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium-headless-shell'], { env });
}

/** @param {() => Promise<unknown>} install */
async function attempt(install) {
  try {
    await install();
  } catch (error) {
    console.log(`  ${error instanceof Error ? error.message : error}`);
  }
}
