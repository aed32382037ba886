// @ts-check
// Builds the page and copies it into the Python package, so that an installed package can serve the page:
//   node scripts/build-companion.mjs             companion/src/patchlight/page/
//   node scripts/build-companion.mjs --wheel     and the wheel, in companion/dist/
import { rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { root, run } from './shell.mjs';
import { buildWheel, copyPage } from './wheel.mjs';

const dist = path.join(root, 'dist');
const page = path.join(root, 'companion/src/patchlight/page');

const { values } = parseArgs({ options: { wheel: { type: 'boolean', default: false } } });

await run(process.execPath, [path.join(root, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn']);
rmSync(page, { recursive: true, force: true });
copyPage(dist, page);
console.log(`the page is in ${path.relative(root, page)}`);

if (values.wheel) {
  const wheel = await buildWheel({ out: path.join(root, 'companion/dist'), dist });
  console.log(`the wheel is ${path.relative(root, wheel)}`);
}
