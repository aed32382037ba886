/** What every test starts Chromium with. */
export const browserArguments = [
  '--no-sandbox',
  // Text is drawn alike on every machine.
  '--font-render-hinting=none',
  '--disable-lcd-text',
  '--force-color-profile=srgb',
  // Pages of one context share what was compiled: see shared-context.ts.
  '--process-per-site',
];
