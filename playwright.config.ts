import { defineConfig } from '@playwright/test';
import { findBrowser } from './scripts/browser.mjs';

// Playwright's browser, or the system's if that is missing; PATCHLIGHT_BROWSER overrides both.
const browser = await findBrowser();
if (browser === undefined) throw new Error('no Chromium was found: install one, or set PATCHLIGHT_BROWSER to its path');
if (process.env.TEST_WORKER_INDEX === undefined) process.stdout.write(`browser: ${browser}\n`);

/** Set PATCHLIGHT_E2E_PORT to run two checkouts at once. */
const port = Number(process.env.PATCHLIGHT_E2E_PORT ?? 4187);

/** Tests the built page with one worker: the model runs in the page, and two at once would distort each other's timing. */
export default defineConfig({
  testDir: 'e2e',
  workers: 1,
  fullyParallel: false,
  forbidOnly: process.env.CI !== undefined,
  timeout: 60_000,
  expect: {
    timeout: 15_000,
    // A changed word moves more pixels than this.
    toHaveScreenshot: { animations: 'disabled', caret: 'hide', maxDiffPixels: 150 },
  },
  reporter: [['list']],
  snapshotPathTemplate: 'e2e/goldens/{arg}{ext}',
  use: {
    baseURL: `http://localhost:${port}`,
    launchOptions: { executablePath: browser, args: ['--no-sandbox', '--font-render-hinting=none'] },
    contextOptions: { reducedMotion: 'reduce' },
    viewport: { width: 1440, height: 900 },
    // Tracing takes a fifth of a test's time, so it is off in CI, where nobody opens the trace.
    trace: process.env.CI === undefined ? 'retain-on-failure' : 'off',
  },
  projects: [
    { name: 'page', testIgnore: 'companion.spec.ts' },
    // The same page served by a real companion, which these tests start and kill.
    { name: 'companion', testMatch: 'companion.spec.ts' },
  ],
  webServer: {
    command: `npx vite preview --port ${port} --strictPort`,
    url: `http://localhost:${port}`,
    reuseExistingServer: false,
    timeout: 30_000,
  },
});
