// @ts-check
// Creates virtual environments, one for each way to install the Python package. The environments are kept in
// .cache/extras until the dependencies change; each check reinstalls only the package.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { findPython } from './python.mjs';
import { root, run } from './shell.mjs';
import { buildWheel } from './wheel.mjs';

/** Extras to install in each environment, in pip's syntax. */
const requirements = { bare: '', serve: '[serve]', train: '[train]' };
const folder = path.join(root, '.cache/extras');
export const wheels = path.join(folder, 'wheel');
const constraints = path.join(root, 'companion/constraints.txt');
const bin = process.platform === 'win32' ? 'Scripts' : 'bin';
/** Does not compile bytecode: compiling takes longer than installing, and most modules are never imported. */
const pipInstall = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', '--no-compile', '-c', constraints];

/** @typedef {keyof typeof requirements} Extra */

export const extras = /** @type {Extra[]} */ (Object.keys(requirements));

function digest() {
  const hash = createHash('sha256');
  for (const file of ['companion/pyproject.toml', 'companion/constraints.txt'])
    hash.update(readFileSync(path.join(root, file)));
  return hash.digest('hex').slice(0, 12);
}

/** @param {Extra} extra */
export const extraVenv = (extra) => path.join(folder, `${extra}-${digest()}`);

/** @param {Extra} extra */
const python = (extra) => path.join(extraVenv(extra), bin, 'python');

/** Written last, so that an incomplete environment is recreated. */
const readyFile = (/** @type {Extra} */ extra) => path.join(extraVenv(extra), 'ready');

/** Creates missing environments and removes those with outdated dependencies. */
export async function ensureExtras() {
  const missing = extras.filter((extra) => !existsSync(readyFile(extra)));
  if (missing.length === 0) return;
  mkdirSync(folder, { recursive: true });
  const kept = extras.map((extra) => path.basename(extraVenv(extra)));
  for (const name of readdirSync(folder))
    if (!kept.includes(name)) rmSync(path.join(folder, name), { recursive: true, force: true });
  const wheel = await buildWheel({ out: wheels });
  for (const extra of missing) {
    const venv = extraVenv(extra);
    await run(findPython(), ['-m', 'venv', '--clear', venv]);
    await run(python(extra), [...pipInstall, `${wheel}${requirements[extra]}`]);
    writeFileSync(readyFile(extra), '');
  }
}

/**
 * Installs the package itself in every environment.
 * @param {string} wheel
 */
export async function installWheel(wheel) {
  for (const extra of extras) await run(python(extra), [...pipInstall, '--no-deps', '--force-reinstall', wheel]);
}
