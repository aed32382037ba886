// @ts-check
// The steps of `npm test`, in the order in which they start; `npm run check` runs those with `check: true`.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { venvBin } from './python.mjs';
import { root } from './shell.mjs';

/** @typedef {'node' | 'python' | 'extras' | 'browser' | 'full-browser'} Need */

/**
 * @typedef {object} StepContext
 * @property {typeof import('./shell.mjs').run} run prints to the step's log
 * @property {number} workers number of worker processes that the step may use
 */

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {readonly Need[]} needs what must be installed
 * @property {boolean} [check] part of `npm run check`: formatting, lint, types, imports
 * @property {'half'} [share] share of the job slots, for a step with workers; other steps use one slot
 * @property {boolean} [waits] its workers wait more than they compute, so it gets one per job slot, whatever its share
 * @property {readonly string[]} [after] earlier steps whose output it reads
 * @property {(context: StepContext) => Promise<void>} run
 */

const node = process.execPath;
const companion = path.join(root, 'companion');

/**
 * Path of a program installed by npm.
 * @param {string} name
 */
const npmBin = (name) => path.join(root, 'node_modules/.bin', name);

/**
 * The longest step starts first and shares the machine with all others.
 * @type {readonly Step[]}
 */
export const steps = [
  { name: 'build', needs: ['node'], run: ({ run }) => run(npmBin('vite'), ['build', '--logLevel', 'warn']) },
  {
    name: 'e2e',
    needs: ['node', 'browser', 'python'],
    share: 'half',
    waits: true,
    after: ['build'],
    run: ({ run, workers }) => run(npmBin('playwright'), ['test', `--workers=${workers}`]),
  },
  {
    name: 'engines',
    needs: ['node', 'browser'],
    after: ['build'],
    run: ({ run }) => run(node, ['scripts/engines.mjs']),
  },
  {
    name: 'pyright',
    needs: ['python'],
    check: true,
    run: ({ run }) => run(venvBin('pyright'), [], { cwd: companion }),
  },
  { name: 'tsc', needs: ['node'], check: true, run: ({ run }) => run(npmBin('tsc'), ['-p', 'tsconfig.json']) },
  {
    name: 'biome',
    needs: ['node'],
    check: true,
    run: ({ run }) => run(npmBin('biome'), ['check', '--error-on-warnings']),
  },
  {
    name: 'imports',
    needs: ['node'],
    check: true,
    run: ({ run }) => run(npmBin('depcruise'), ['src', '--config', 'scripts/imports.mjs']),
  },
  { name: 'knip', needs: ['node'], check: true, run: ({ run }) => run(npmBin('knip'), []) },
  {
    name: 'ruff',
    needs: ['python'],
    check: true,
    run: ({ run }) => run(venvBin('ruff'), ['check'], { cwd: companion }),
  },
  {
    name: 'ruff-format',
    needs: ['python'],
    check: true,
    run: ({ run }) => run(venvBin('ruff'), ['format', '--check', '--diff'], { cwd: companion }),
  },
  {
    name: 'py-imports',
    needs: ['python'],
    check: true,
    run: ({ run }) => run(venvBin('lint-imports'), [], { cwd: companion }),
  },
  { name: 'api-types', needs: ['node'], run: ({ run }) => run(node, ['scripts/api-types.mjs', '--check']) },
  { name: 'figures', needs: ['node'], run: ({ run }) => run(node, ['scripts/figures.mjs', '--check']) },
  { name: 'methods-doc', needs: ['node'], run: ({ run }) => run(node, ['scripts/methods-doc.mjs', '--check']) },
  { name: 'models', needs: ['node'], run: ({ run }) => run(node, ['scripts/check-models.mjs']) },
  { name: 'datasets', needs: ['node'], run: ({ run }) => run(node, ['scripts/check-datasets.mjs']) },
  { name: 'bundle', needs: ['node'], after: ['build'], run: ({ run }) => run(node, ['scripts/check-bundle.mjs']) },
  {
    name: 'pytest',
    needs: ['python'],
    share: 'half',
    run: ({ run, workers }) => run(venvBin('python'), ['-m', 'pytest', ...distributed(workers)], { cwd: companion }),
  },
  { name: 'pipeline', needs: ['python'], run: runSmokePipeline },
  {
    name: 'extras',
    needs: ['node', 'python', 'extras'],
    after: ['build'],
    run: ({ run }) => run(node, ['scripts/check-extras.mjs']),
  },
  {
    name: 'vitest',
    needs: ['node'],
    share: 'half',
    run: ({ run, workers }) => run(npmBin('vitest'), ['run', `--maxWorkers=${workers}`]),
  },
];

/**
 * Arguments for pytest-xdist. A single worker would only add its start-up time. The tests of a file share a worker and
 * so its fixtures.
 * @param {number} workers
 */
const distributed = (workers) => (workers === 1 ? [] : ['-n', String(workers), '--dist', 'loadfile']);

/**
 * Returns how many job slots a step uses.
 * @param {Step} step
 * @param {number} jobs
 */
export const slotsOf = ({ share }, jobs) => (share === undefined ? 1 : Math.ceil(jobs / 2));

/**
 * Returns how many worker processes a step may use.
 * @param {Step} step
 * @param {number} jobs
 */
export const workersOf = (step, jobs) => (step.waits ? jobs : slotsOf(step, jobs));

/**
 * Builds a small embedded model in an empty folder; in a used one, the pipeline would resume an earlier version's work.
 * @param {StepContext} context
 */
async function runSmokePipeline({ run }) {
  const out = mkdtempSync(path.join(os.tmpdir(), 'patchlight-smoke-'));
  try {
    const folders = ['--work', path.join(out, 'work'), '--out', path.join(out, 'model')];
    await run(venvBin('python'), ['-m', 'patchlight.embedded.pipeline', '--smoke', ...folders]);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/**
 * The named steps with their dependencies; all steps if none is named.
 * @param {readonly string[]} names
 * @param {readonly Step[]} [all]
 * @returns {readonly Step[]}
 */
export function chooseSteps(names, all = steps) {
  const unknown = names.filter((name) => !all.some((step) => step.name === name));
  if (unknown.length > 0)
    throw new Error(`unknown step ${unknown.join(', ')}; the steps are ${all.map(({ name }) => name).join(', ')}`);
  if (names.length === 0) return all;
  const chosen = new Set(names);
  // Dependencies come earlier in the list, so one pass from the end finds all of them.
  for (const step of all.toReversed()) {
    if (chosen.has(step.name)) for (const name of step.after ?? []) chosen.add(name);
  }
  return all.filter(({ name }) => chosen.has(name));
}
