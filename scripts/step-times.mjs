// @ts-check
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { formatSeconds } from './step-log.mjs';

/**
 * @typedef {object} TestRun
 * @property {readonly import('./schedule.mjs').Result[]} results
 * @property {number} installationMs
 * @property {number} testingMs wall-clock time, less than the sum of parallel steps
 * @property {number} jobs
 */

/**
 * Renders the duration of each step, longest first.
 * @param {TestRun} testRun
 */
export function renderTimes({ results, installationMs, testingMs, jobs }) {
  const width = Math.max('installation'.length, ...results.map(({ name }) => 'passed  '.length + name.length));
  /** @param {string} label @param {number} ms */
  const row = (label, ms) => `${label.padEnd(width)}  ${formatSeconds(ms).padStart(9)}`;
  const lines = results
    .toSorted((a, b) => b.durationMs - a.durationMs)
    .map(({ name, durationMs, failure }) =>
      failure === undefined ? row(`passed  ${name}`, durationMs) : `${row(`FAILED  ${name}`, durationMs)}  ${failure}`,
    );
  return [
    ...lines,
    '',
    row('installation', installationMs),
    `${row('testing', testingMs)}  (${jobs} ${jobs === 1 ? 'job' : 'jobs'} in parallel)`,
  ].join('\n');
}

/**
 * @param {string} file
 * @param {TestRun} testRun
 */
export function writeTimes(file, { results, installationMs, testingMs, jobs }) {
  const steps = results.map(({ name, durationMs, failure }) => ({
    name,
    passed: failure === undefined,
    durationMs: Math.round(durationMs),
  }));
  const times = { jobs, installationMs: Math.round(installationMs), testingMs: Math.round(testingMs), steps };
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(times, null, 2)}\n`);
}
