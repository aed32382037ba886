// @ts-check
// `npm test`: runs all checks, even on a fresh clone. CI runs only this command.
//   node scripts/test.mjs                   all steps; a failure does not stop the others
//   node scripts/test.mjs --check           formatting, lint, types and imports only: `npm run check`
//   node scripts/test.mjs --only vitest     one step (repeatable) with its dependencies; --list lists them
//   node scripts/test.mjs --jobs 4          as if the machine had 4 cores
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { install } from './install.mjs';
import { schedule } from './schedule.mjs';
import { root, run } from './shell.mjs';
import { createStepLog } from './step-log.mjs';
import { renderTimes, writeTimes } from './step-times.mjs';
import { chooseSteps, slotsOf, steps, workersOf } from './steps.mjs';

/** @typedef {import('./steps.mjs').Step} Step */
/** @typedef {import('./shell.mjs').RunOptions} RunOptions */

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    check: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    jobs: { type: 'string', default: String(os.availableParallelism()) },
  },
});
if (options.list) {
  console.log(steps.map(({ name }) => name).join('\n'));
  process.exit(0);
}

const jobs = Number(options.jobs);
const chosen = stepsToRun();
const startMs = performance.now();
const missing = await install(new Set(chosen.flatMap(({ needs }) => needs)));
const installedMs = performance.now();

const log = createStepLog({
  write: (text) => void process.stdout.write(text),
  isTerminal: process.stdout.isTTY === true,
  isSingle: options.only.length === 1,
});
const tasks = chosen.map((step) => ({
  name: step.name,
  slots: slotsOf(step, jobs),
  after: step.after ?? [],
  run: () => runStep(step),
}));
const results = await schedule(tasks, jobs, { onStart: log.start, onEnd: log.end });
log.destroy();

const testRun = { results, installationMs: installedMs - startMs, testingMs: performance.now() - installedMs, jobs };
const failed = results.filter(({ failure }) => failure !== undefined).length;
writeTimes(path.join(root, '.cache/test-times.json'), testRun);
console.log(`\n${renderTimes(testRun)}\n\n${results.length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

function stepsToRun() {
  try {
    if (!Number.isInteger(jobs) || jobs < 1) throw new Error(`--jobs must be a positive integer, got ${options.jobs}`);
    return options.check ? steps.filter(({ check }) => check) : chooseSteps(options.only);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}

/** @param {Step} step */
async function runStep(step) {
  for (const need of step.needs) {
    const reason = missing.get(need);
    if (reason !== undefined) throw new Error(reason);
  }
  /** @type {typeof run} */
  const runLogged = (command, args, more) =>
    run(command, args, {
      ...more,
      // PyTorch would start a thread per core in each process; threads that share a core spin while they wait.
      env: { OMP_NUM_THREADS: '1', ...more?.env },
      onOutput: (text) => log.output(step.name, text),
    });
  await step.run({ run: runLogged, workers: workersOf(step, jobs) });
}
