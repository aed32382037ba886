// @ts-check
// Builds the page and puts it inside the Python package, so that a wheel of it serves the page:
//   node scripts/build-companion.mjs             companion/src/patchlight/page/
//   node scripts/build-companion.mjs --wheel     and the wheel, in companion/dist/
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { ensureVenv, venvBin } from './python.mjs';
import { root, run } from './shell.mjs';

const dist = path.join(root, 'dist');
const companion = path.join(root, 'companion');
const page = path.join(companion, 'src/patchlight/page');
const wheels = path.join(companion, 'dist');

const { values } = parseArgs({ options: { wheel: { type: 'boolean', default: false } } });

await run(process.execPath, [path.join(root, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn']);
rmSync(page, { recursive: true, force: true });
// The build's own manifest is of use to checks only.
cpSync(dist, page, { recursive: true, filter: (source) => path.basename(source) !== '.vite' });
console.log(`the page is in ${path.relative(root, page)}`);

if (values.wheel) {
  // pip alone builds it: none of the companion's dependencies are needed.
  await ensureVenv();
  // What an earlier build left behind would be packed again.
  rmSync(path.join(companion, 'build'), { recursive: true, force: true });
  rmSync(wheels, { recursive: true, force: true });
  mkdirSync(wheels);
  copyFileSync(path.join(root, 'LICENSE'), path.join(companion, 'LICENSE'));
  await run(venvBin('python'), ['-m', 'pip', 'wheel', '-q', '--no-deps', '-w', wheels, companion]);
  const [wheel] = readdirSync(wheels);
  if (wheel === undefined || !existsSync(path.join(wheels, wheel))) throw new Error(`pip wrote no wheel to ${wheels}`);
  console.log(`the wheel is companion/dist/${wheel}`);
}
