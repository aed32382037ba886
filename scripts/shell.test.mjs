// @ts-check
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { run } from './shell.mjs';

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    if (!existsSync('/proc/self/stat')) return true;
    // A killed process keeps its id until its parent waits for it.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Collects what a command prints. */
function collector() {
  const collected = {
    text: '',
    onOutput: (/** @type {string} */ text) => {
      collected.text += text;
    },
  };
  return collected;
}

it('reports the failed command and its exit code', async () => {
  await run('true', []);
  await expect(run('sh', ['-c', 'exit 3'])).rejects.toThrow('sh -c exit 3 exited with 3');
  await expect(run('no-such-program', [])).rejects.toThrow('no-such-program did not start');
});

it('passes on the output of the command', async () => {
  const output = collector();
  await run('sh', ['-c', 'echo out; echo err >&2'], { onOutput: output.onOutput });
  expect(output.text.split('\n').toSorted().join()).toBe(',err,out');
});

it('does not stop a slow command that keeps printing', async () => {
  const output = collector();
  const script = 'for i in 1 2 3 4 5 6 7 8; do sleep 0.2; echo $i; done';
  await run('sh', ['-c', script], { onOutput: output.onOutput, stallMs: 1500 });
  expect(output.text.trim().split('\n')).toHaveLength(8);
});

it.skipIf(process.platform === 'win32')('kills a command that stops printing, with its child processes', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'patchlight-shell-'));
  const pidFile = path.join(folder, 'pid');
  try {
    const script = `sleep 60 & echo $! > ${pidFile}; echo started; wait`;
    const command = run('sh', ['-c', script], { onOutput: () => {}, stallMs: 500 });
    await expect(command).rejects.toThrow('printed nothing for 0.5 s');
    const pid = Number(readFileSync(pidFile, 'utf8'));
    for (let tries = 0; tries < 50 && isAlive(pid); tries += 1) await sleep(20);
    expect(isAlive(pid)).toBe(false);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

it('kills processes that the command left running', async () => {
  const output = collector();
  // The remaining process holds the pipe: waiting for it to end would take a minute.
  await run('sh', ['-c', 'sleep 60 & echo $!'], { onOutput: output.onOutput });
  const pid = Number(output.text);
  for (let tries = 0; tries < 50 && isAlive(pid); tries += 1) await sleep(20);
  expect(isAlive(pid)).toBe(false);
});
