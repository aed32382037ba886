import { defineConfig } from '@playwright/test';
import { browserArguments } from './e2e/browser-arguments';
import { findBrowser } from './scripts/browser.mjs';

// Playwright's own browser, or the system's where that one cannot be had; PATCHLIGHT_BROWSER overrides both.
const browser = await findBrowser();
if (browser === undefined) throw new Error('no Chromium: install one, or name it in PATCHLIGHT_BROWSER');
if (process.env.TEST_WORKER_INDEX === undefined) process.stdout.write(`browser: ${browser}\n`);

/** Set it to another one to test two checkouts at once. */
const port = Number(process.env.PATCHLIGHT_E2E_PORT ?? 4187);

/** A changed word is hundreds of pixels; `npm run goldens` replaces every golden that is not the same to the pixel. */
function goldenTolerance() {
  return process.env.PATCHLIGHT_GOLDENS === 'exact' ? { maxDiffPixels: 0, threshold: 0 } : { maxDiffPixels: 150 };
}

/**
 * The built page. Time limits leave room for a machine that is busy with something else: a hung test is the only thing
 * they are for.
 */
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
    baseURL: `http://localhost:${port}`,
    launchOptions: { executablePath: browser, args: browserArguments },
    contextOptions: { reducedMotion: 'reduce' },
    viewport: { width: 1440, height: 900 },
    // A fifth of a flow's time; `npx playwright test NAME --trace on` records one.
    trace: 'off',
  },
  projects: [
    // The same page, served by a real companion: these start and kill their own.
    { name: 'companion', testMatch: 'companion*.spec.ts' },
    { name: 'page', testIgnore: 'companion*.spec.ts' },
  ],
  webServer: {
    command: `npx vite preview --config e2e/vite.config.ts --port ${port} --strictPort`,
    url: `http://localhost:${port}`,
    reuseExistingServer: false,
    timeout: 120_000,
  },
});
