// @ts-check
// The companion's virtual environment, `.venv`: created once and updated when its requirements change.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { root, run } from './shell.mjs';

const venv = path.join(root, '.venv');
const stampFile = path.join(venv, 'patchlight-requirements.sha256');
const requirementFiles = ['companion/pyproject.toml', 'companion/constraints.txt'];
const bin = path.join(venv, process.platform === 'win32' ? 'Scripts' : 'bin');

/**
 * Path of a program in the virtual environment.
 * @param {string} name
 */
export const venvBin = (name) => path.join(bin, name);

/**
 * Path of the virtual environment's Python; throws if there is none.
 * @param {string} [python]
 */
export function installedPython(python = venvBin('python')) {
  if (existsSync(python)) return python;
  throw new Error(`${path.relative(root, python)} is missing; to install it: node scripts/install.mjs node python`);
}

export function findPython() {
  const candidates = [process.env.PATCHLIGHT_PYTHON, 'python3', 'python3.13', 'python3.12', 'python3.11', 'python'];
  for (const candidate of candidates) {
    if (!candidate) continue;
    try {
      const code = 'import sys; print(sys.version_info >= (3, 11))';
      if (
        execFileSync(candidate, ['-c', code], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim() ===
        'True'
      )
        return candidate;
    } catch {
      // Missing or not executable.
    }
  }
  throw new Error('no Python 3.11 or later was found: install one, or set PATCHLIGHT_PYTHON to its path');
}

function requirementsDigest() {
  const hash = createHash('sha256');
  for (const file of requirementFiles) hash.update(readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

/**
 * Creates the virtual environment if it is missing, without installing anything.
 * @returns {Promise<void>}
 */
export async function ensureVenv() {
  if (!existsSync(venvBin('python'))) await run(findPython(), ['-m', 'venv', venv]);
}

/** @returns {Promise<void>} */
export async function ensurePython() {
  const digest = requirementsDigest();
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === digest) return;
  await ensureVenv();
  await run(venvBin('python'), [
    ...['-m', 'pip', 'install', '-qq', '--disable-pip-version-check'],
    ...['-c', 'companion/constraints.txt', '-e', 'companion[dev]'],
  ]);
  writeFileSync(stampFile, digest);
}
