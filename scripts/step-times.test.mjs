// @ts-check
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { renderTimes, writeTimes } from './step-times.mjs';

const testRun = {
  results: [
    { name: 'tsc', durationMs: 2_000 },
    { name: 'bundle', durationMs: 0, failure: 'not run: build failed' },
    { name: 'e2e', durationMs: 61_500 },
  ],
  installationMs: 0,
  testingMs: 62_000,
  jobs: 2,
};

it('lists the longest step first, and installation separately from testing', () => {
  expect(renderTimes(testRun).split('\n')).toEqual([
    'passed  e2e        61.5 s',
    'passed  tsc         2.0 s',
    'FAILED  bundle      0.0 s  not run: build failed',
    '',
    'installation        0.0 s',
    'testing            62.0 s  (2 jobs in parallel)',
  ]);
});

it('writes the same as JSON', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'patchlight-times-'));
  try {
    const file = path.join(folder, 'new/times.json');
    writeTimes(file, testRun);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      jobs: 2,
      installationMs: 0,
      testingMs: 62_000,
      steps: [
        { name: 'tsc', passed: true, durationMs: 2_000 },
        { name: 'bundle', passed: false, durationMs: 0 },
        { name: 'e2e', passed: true, durationMs: 61_500 },
      ],
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
