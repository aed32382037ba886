// @ts-check
// Builds the Python package as a wheel, from a copy of its sources, so that concurrent builds do not share a folder.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ensureVenv, venvBin } from './python.mjs';
import { root, run } from './shell.mjs';

const companion = path.join(root, 'companion');

/**
 * Copies a built page without its build manifest, which only the checks need.
 * @param {string} dist
 * @param {string} target
 */
export function copyPage(dist, target) {
  cpSync(dist, target, { recursive: true, filter: (source) => path.basename(source) !== '.vite' });
}

/** @param {string} source */
const isSource = (source) => !/(^|[\\/])(page|__pycache__|[^\\/]*\.egg-info)$/.test(path.relative(companion, source));

/**
 * @param {object} options
 * @param {string} options.out folder of the wheel; emptied first
 * @param {string} [options.dist] the built page; if omitted, the wheel has no page
 * @returns {Promise<string>} the wheel's path
 */
export async function buildWheel({ out, dist }) {
  // pip is enough to build the wheel; the companion's dependencies are not needed.
  await ensureVenv();
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const copy = mkdtempSync(path.join(os.tmpdir(), 'patchlight-wheel-'));
  try {
    for (const name of ['pyproject.toml', 'README.md', 'src'])
      cpSync(path.join(companion, name), path.join(copy, name), { recursive: true, filter: isSource });
    cpSync(path.join(root, 'LICENSE'), path.join(copy, 'LICENSE'));
    if (dist !== undefined) copyPage(dist, path.join(copy, 'src/patchlight/page'));
    await run(venvBin('python'), [
      ...['-m', 'pip', 'wheel', '-q', '--disable-pip-version-check'],
      ...['--no-deps', '-w', out, copy],
    ]);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
  const [wheel] = readdirSync(out);
  if (wheel === undefined) throw new Error(`pip wrote no wheel to ${out}`);
  return path.join(out, wheel);
}
