import { existsSync } from 'node:fs';
import path from 'node:path';
import { preview } from 'vite';
import { root } from '../scripts/shell.mjs';

/**
 * Serves the built page from Playwright's own process: a server in a process of its own would outlive a test run that is
 * killed, and keep the port.
 */
export default async function servePage(): Promise<() => Promise<void>> {
  if (!existsSync(path.join(root, 'dist/index.html'))) throw new Error('the page is not built: run `npm run build`');
  const port = Number(process.env.PATCHLIGHT_E2E_PORT);
  const configFile = path.join(root, 'e2e/vite.config.ts');
  try {
    const server = await preview({ root, configFile, logLevel: 'error', preview: { port, strictPort: true } });
    return () => server.close();
  } catch (cause) {
    const advice = 'set PATCHLIGHT_E2E_PORT to another port, or unset it for a free one';
    throw new Error(`the page could not be served on port ${port}: ${advice}`, { cause });
  }
}
