import { defineConfig } from '@playwright/test';
import { browserArguments } from './e2e/browser-arguments';
import { findBrowser } from './scripts/browser.mjs';
import { freePort } from './scripts/free-port.mjs';

const browser = await findBrowser();
if (browser === undefined) throw new Error('no Chromium was found: install one, or set PATCHLIGHT_BROWSER to its path');
if (process.env.TEST_WORKER_INDEX === undefined) process.stdout.write(`browser: ${browser}\n`);

/** The page's port: chosen once, and passed on to the workers, which read this file too. */
process.env.PATCHLIGHT_E2E_PORT ||= String(await freePort());

/** Tests of the page that a companion serves. */
const companionTests = 'companion*.spec.ts';

/**
 * Changing a word changed at least 77 pixels in twelve trials, which is well above the tolerance. `npm run goldens`
 * replaces every golden that differs by a pixel or more.
 */
function goldenTolerance() {
  return process.env.PATCHLIGHT_GOLDENS === 'exact' ? { maxDiffPixels: 0, threshold: 0 } : { maxDiffPixels: 40 };
}

/** Tests the built page. The time limits exist to stop hung tests, and are generous enough for a busy machine. */
export default defineConfig({
  testDir: 'e2e',
  workers: '100%',
  fullyParallel: true,
  forbidOnly: process.env.CI !== undefined,
  timeout: 180_000,
  expect: {
    timeout: 30_000,
    toHaveScreenshot: { animations: 'disabled', caret: 'hide', ...goldenTolerance() },
  },
  reporter: [['list']],
  snapshotPathTemplate: 'e2e/goldens/{arg}{ext}',
  use: {
    baseURL: `http://localhost:${process.env.PATCHLIGHT_E2E_PORT}`,
    launchOptions: { executablePath: browser, args: browserArguments },
    contextOptions: { reducedMotion: 'reduce' },
    viewport: { width: 1440, height: 900 },
    // Tracing would take up a fifth of a test's time; `npx playwright test NAME --trace on` records a trace.
    trace: 'off',
  },
  projects: [
    // The same page served by a real companion, which these tests start and kill.
    { name: 'companion', testMatch: companionTests },
    { name: 'page', testIgnore: [companionTests, 'engines/**'] },
  ],
  globalSetup: './e2e/serve-page.ts',
});
