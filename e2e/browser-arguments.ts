/** Chromium's command-line arguments for every test. */
export const browserArguments = [
  '--no-sandbox',
  // Render text the same way on every machine.
  '--font-render-hinting=none',
  '--disable-lcd-text',
  '--force-color-profile=srgb',
  // Pages of one context share compiled WebAssembly: see shared-context.ts.
  '--process-per-site',
];
