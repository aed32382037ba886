import { defineConfig } from '@playwright/test';

/** The same walk through the built page in each browser engine: `node scripts/engines.mjs`. */
export default defineConfig({
  testDir: '.',
  outputDir: '../../test-results/engines',
  workers: 1,
  forbidOnly: process.env.CI !== undefined,
  timeout: 300_000,
  expect: { timeout: 30_000 },
  reporter: [['list']],
});
