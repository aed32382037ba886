// @ts-check
// `npm test`: everything that is checked, in one command, on a fresh clone too. CI runs this and nothing else.
//   node scripts/test.mjs                   all steps; one that fails does not stop the later ones
//   node scripts/test.mjs --only vitest     one step (may be given again); --list names them
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { ensureBrowser } from './browser.mjs';
import { ensurePython, venvBin } from './python.mjs';
import { root, run } from './shell.mjs';

/** @typedef {'node' | 'python' | 'browser' | 'build'} Need */
/** @typedef {{ name: string, needs: readonly Need[], run: () => Promise<void> }} Step */

const node = process.execPath;
const companion = path.join(root, 'companion');

/**
 * A program that npm installed.
 * @param {string} name
 * @param {readonly string[]} args
 */
const tool = (name, args) => run(path.join(root, 'node_modules/.bin', name), args);

/** What a step needs is brought about once, when the first step asks for it; a failure fails every step that needs it. */
const provide = {
  node: async () => {
    if (!existsSync(path.join(root, 'node_modules/.package-lock.json'))) await run('npm', ['ci']);
  },
  python: ensurePython,
  browser: async () => {
    const browser = await ensureBrowser();
    process.env.PATCHLIGHT_BROWSER = browser;
    console.log(`  browser: ${browser}`);
  },
  build: () => tool('vite', ['build', '--logLevel', 'warn']),
};

/** @type {readonly Step[]} */
const steps = [
  { name: 'biome', needs: ['node'], run: () => tool('biome', ['check', '--error-on-warnings']) },
  { name: 'tsc', needs: ['node'], run: () => tool('tsc', ['-p', 'tsconfig.json']) },
  { name: 'imports', needs: ['node'], run: () => tool('depcruise', ['src', '--config', 'scripts/imports.mjs']) },
  { name: 'knip', needs: ['node'], run: () => tool('knip', []) },
  { name: 'api-types', needs: ['node'], run: () => run(node, ['scripts/api-types.mjs', '--check']) },
  { name: 'figures', needs: ['node'], run: () => run(node, ['scripts/figures.mjs', '--check']) },
  { name: 'methods-doc', needs: ['node'], run: () => run(node, ['scripts/methods-doc.mjs', '--check']) },
  { name: 'models', needs: ['node'], run: () => run(node, ['scripts/check-models.mjs']) },
  { name: 'datasets', needs: ['node'], run: () => run(node, ['scripts/check-datasets.mjs']) },
  { name: 'ruff', needs: ['python'], run: () => run(venvBin('ruff'), ['check'], { cwd: companion }) },
  {
    name: 'ruff-format',
    needs: ['python'],
    run: () => run(venvBin('ruff'), ['format', '--check', '--diff'], { cwd: companion }),
  },
  { name: 'pyright', needs: ['python'], run: () => run(venvBin('pyright'), [], { cwd: companion }) },
  { name: 'vitest', needs: ['node'], run: () => tool('vitest', ['run']) },
  { name: 'build', needs: ['node', 'build'], run: async () => {} },
  { name: 'bundle', needs: ['node', 'build'], run: () => run(node, ['scripts/check-bundle.mjs']) },
  { name: 'pytest', needs: ['python'], run: () => run(venvBin('python'), ['-m', 'pytest'], { cwd: companion }) },
  { name: 'pipeline', needs: ['python'], run: runSmokePipeline },
  { name: 'e2e', needs: ['node', 'build', 'browser', 'python'], run: () => tool('playwright', ['test']) },
];

async function runSmokePipeline() {
  const out = mkdtempSync(path.join(os.tmpdir(), 'patchlight-smoke-'));
  try {
    // From nothing each time: what an older version left behind would be resumed.
    const folders = ['--work', path.join(out, 'work'), '--out', path.join(out, 'model')];
    await run(venvBin('python'), ['-m', 'patchlight.pipeline', '--smoke', ...folders]);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** @type {Map<Need, Promise<void>>} */
const provided = new Map();

/** @param {Need} need */
function ensure(need) {
  const promise = provided.get(need) ?? provide[need]();
  provided.set(need, promise);
  return promise;
}

/** @param {readonly string[]} names */
function chooseSteps(names) {
  const unknown = names.filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) {
    console.error(`no step is called ${unknown.join(', ')}; there are ${steps.map(({ name }) => name).join(', ')}`);
    process.exit(2);
  }
  return names.length === 0 ? steps : steps.filter(({ name }) => names.includes(name));
}

/** @param {number} startMs */
const secondsSince = (startMs) => `${((performance.now() - startMs) / 1000).toFixed(1)} s`;

const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true, default: [] }, list: { type: 'boolean', default: false } },
});
if (values.list) {
  console.log(steps.map(({ name }) => name).join('\n'));
  process.exit(0);
}

/** @type {string[]} */
const lines = [];
let failed = 0;
const chosen = chooseSteps(values.only);
for (const step of chosen) {
  console.log(`\n── ${step.name}`);
  const startMs = performance.now();
  try {
    for (const need of step.needs) await ensure(need);
    await step.run();
    lines.push(`passed  ${step.name}  ${secondsSince(startMs)}`);
  } catch (error) {
    failed += 1;
    lines.push(`FAILED  ${step.name}  ${secondsSince(startMs)}  ${error instanceof Error ? error.message : error}`);
  }
  console.log(lines.at(-1));
}

console.log(`\n${lines.join('\n')}\n\n${chosen.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
