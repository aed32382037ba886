// @ts-check
// Installs the package with its page in fresh environments (bare, [serve] and [train]) and runs companion/tests/extras
// against them. Needs a built page (`vite build`).
//   node scripts/check-extras.mjs
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ensureExtras, extras, extraVenv, installWheel, wheels } from './extras.mjs';
import { venvBin } from './python.mjs';
import { root, run } from './shell.mjs';
import { buildWheel } from './wheel.mjs';

const dist = path.join(root, 'dist');
if (!existsSync(path.join(dist, 'index.html'))) throw new Error('the page is not built: run `npm run build` first');

await ensureExtras();
await installWheel(await buildWheel({ out: wheels, dist }));
const venvs = Object.fromEntries(extras.map((extra) => [`PATCHLIGHT_VENV_${extra.toUpperCase()}`, extraVenv(extra)]));
await run(venvBin('python'), ['-m', 'pytest', '-m', 'extras', 'tests/extras'], {
  cwd: path.join(root, 'companion'),
  env: venvs,
});
