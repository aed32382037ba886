import { defineConfig } from '@playwright/test';
import { findBrowser } from './scripts/browser.mjs';

// Playwright's own browser, or the system's where that one cannot be had; PATCHLIGHT_BROWSER overrides both.
const browser = await findBrowser();
if (browser === undefined) throw new Error('no Chromium: install one, or name it in PATCHLIGHT_BROWSER');
if (process.env.TEST_WORKER_INDEX === undefined) process.stdout.write(`browser: ${browser}\n`);

/** Another one where two checkouts are tried at once. */
const port = Number(process.env.PATCHLIGHT_E2E_PORT ?? 4187);

/** The built page, on one worker: the model runs in it, and two at once would be timed against each other. */
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
    // Tracing is a fifth of a flow's time; where nobody will open the trace, it is left out.
    trace: process.env.CI === undefined ? 'retain-on-failure' : 'off',
  },
  projects: [
    { name: 'page', testIgnore: 'companion.spec.ts' },
    // The same page, served by a real companion: these start and kill their own.
    { name: 'companion', testMatch: 'companion.spec.ts' },
  ],
  webServer: {
    command: `npx vite preview --port ${port} --strictPort`,
    url: `http://localhost:${port}`,
    reuseExistingServer: false,
    timeout: 30_000,
  },
});
