// @ts-check
// `npm run goldens`: builds the page, takes its screenshots, replaces the goldens in e2e/goldens that differ by a pixel
// or more, compresses the new ones, and removes those that no test compares.
//   npm run goldens -- trust      only tests with "trust" in their title; removes nothing
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { isHeadlessShell } from './browser.mjs';
import { compressPngs } from './compress-png.mjs';
import { install } from './install.mjs';
import { root, run } from './shell.mjs';

export const folder = path.join(root, 'e2e/goldens');

/** @typedef {{ title: string, steps?: ReportStep[] }} ReportStep */
/** @typedef {{ specs?: { tests: { results: { status: string, steps?: ReportStep[] }[] }[] }[], suites?: ReportSuite[] }} ReportSuite */

/**
 * Returns the goldens that a test run compared, according to Playwright's JSON report: e2e/shot.ts names a test step
 * after each golden.
 * @param {ReportSuite} suite
 * @returns {string[]}
 */
export function comparedGoldens({ specs = [], suites = [] }) {
  /** @param {ReportStep} step @returns {string[]} */
  const inStep = ({ title, steps = [] }) => {
    const name = /^[\w-]+\.png$/.exec(title)?.[0];
    return [...(name === undefined ? [] : [name]), ...steps.flatMap(inStep)];
  };
  const results = specs.flatMap(({ tests }) => tests.flatMap(({ results: all }) => all));
  return [...results.flatMap(({ steps = [] }) => steps.flatMap(inStep)), ...suites.flatMap(comparedGoldens)];
}

async function main() {
  const failures = await install(new Set(/** @type {const} */ (['node', 'python', 'browser'])));
  for (const [need, reason] of failures) throw new Error(`${need}: ${reason}`);
  const browser = process.env.PATCHLIGHT_BROWSER ?? '';
  if (!isHeadlessShell(browser))
    throw new Error(`the goldens are rendered with chromium-headless-shell; ${browser} would change most of them`);
  const [titles] = process.argv.slice(2);
  const out = mkdtempSync(path.join(os.tmpdir(), 'patchlight-goldens-'));
  const report = path.join(out, 'report.json');
  const started = Date.now();
  try {
    await run(path.join(root, 'node_modules/.bin/vite'), ['build', '--logLevel', 'warn']);
    const chosen = titles === undefined ? '@goldens' : `(?=.*@goldens).*${titles}`;
    await run(
      path.join(root, 'node_modules/.bin/playwright'),
      ['test', '--forbid-only', '--grep', chosen, '--update-snapshots=changed', '--reporter=list,json'],
      { env: { PATCHLIGHT_GOLDENS: 'exact', PLAYWRIGHT_JSON_OUTPUT_NAME: report } },
    );
    if (titles !== undefined) return;
    const compared = new Set(comparedGoldens(JSON.parse(readFileSync(report, 'utf8'))));
    for (const file of readdirSync(folder).filter((name) => !compared.has(name))) {
      rmSync(path.join(folder, file));
      console.log(`removed ${file}: no test compares it`);
    }
  } finally {
    const goldens = readdirSync(folder).map((name) => path.join(folder, name));
    await compressPngs(goldens.filter((file) => statSync(file).mtimeMs >= started));
    rmSync(out, { recursive: true, force: true });
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
