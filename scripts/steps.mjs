// @ts-check
// The steps of `npm test`, in the order in which they start; those with `check: true` are `npm run check` too.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { venvBin } from './python.mjs';
import { root } from './shell.mjs';

/** @typedef {'node' | 'python' | 'browser'} Need */

/**
 * @typedef {object} StepContext
 * @property {typeof import('./shell.mjs').run} run with the step's own log as its output
 * @property {number} workers how many processes the step may keep busy: its share of the slots
 */

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {readonly Need[]} needs what has to be installed
 * @property {boolean} [check] part of `npm run check`: formatting, lint, types, imports
 * @property {'all' | 'half'} [share] of the job slots, for a step that has workers; other steps take one slot
 * @property {readonly string[]} [after] earlier steps whose output it reads
 * @property {(context: StepContext) => Promise<void>} run
 */

const node = process.execPath;
const companion = path.join(root, 'companion');

/**
 * The path of a program that npm installed.
 * @param {string} name
 */
const npmBin = (name) => path.join(root, 'node_modules/.bin', name);

/**
 * Quick checks first; then what takes long on one slot, the longest first; last what takes all slots.
 * @type {readonly Step[]}
 */
export const steps = [
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
  {
    name: 'pytest',
    needs: ['python'],
    share: 'half',
    run: ({ run, workers }) => run(venvBin('python'), ['-m', 'pytest', ...distributed(workers)], { cwd: companion }),
  },
  { name: 'pipeline', needs: ['python'], run: runSmokePipeline },
  {
    name: 'vitest',
    needs: ['node'],
    share: 'half',
    run: ({ run, workers }) => run(npmBin('vitest'), ['run', `--maxWorkers=${workers}`]),
  },
  { name: 'build', needs: ['node'], run: ({ run }) => run(npmBin('vite'), ['build', '--logLevel', 'warn']) },
  { name: 'bundle', needs: ['node'], after: ['build'], run: ({ run }) => run(node, ['scripts/check-bundle.mjs']) },
  {
    name: 'e2e',
    needs: ['node', 'browser', 'python'],
    share: 'all',
    after: ['build'],
    run: ({ run, workers }) => run(npmBin('playwright'), ['test', `--workers=${workers}`]),
  },
];

/** pytest-xdist's arguments: a single worker would only add its own start. @param {number} workers */
const distributed = (workers) => (workers === 1 ? [] : ['-n', String(workers)]);

/**
 * How many job slots a step takes.
 * @param {Step} step
 * @param {number} jobs
 */
export function slotsOf({ share }, jobs) {
  if (share === undefined) return 1;
  return share === 'all' ? jobs : Math.ceil(jobs / 2);
}

/**
 * The embedded model at a small size, from nothing each time: the pipeline would resume what an earlier version left.
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
 * The steps named, with those that they come after; all steps if none is named.
 * @param {readonly string[]} names
 * @param {readonly Step[]} [all]
 * @returns {readonly Step[]}
 */
export function chooseSteps(names, all = steps) {
  const unknown = names.filter((name) => !all.some((step) => step.name === name));
  if (unknown.length > 0)
    throw new Error(`no step is called ${unknown.join(', ')}; the steps are ${all.map(({ name }) => name).join(', ')}`);
  if (names.length === 0) return all;
  const chosen = new Set(names);
  // What a step comes after stands before it in the list, so one walk from the end finds everything.
  for (const step of all.toReversed()) {
    if (chosen.has(step.name)) for (const name of step.after ?? []) chosen.add(name);
  }
  return all.filter(({ name }) => chosen.has(name));
}
