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
    // A killed process that nobody has waited for yet still has its id.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

it('tells which command failed, and with what', async () => {
  await run('true', []);
  await expect(run('sh', ['-c', 'exit 3'])).rejects.toThrow('sh -c exit 3 exited with 3');
  await expect(run('no-such-program', [])).rejects.toThrow('no-such-program did not start');
});

it.skipIf(process.platform === 'win32')('ends what an overdue command started as well', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'patchlight-shell-'));
  const pidFile = path.join(folder, 'pid');
  try {
    const command = run('sh', ['-c', `sleep 60 & echo $! > ${pidFile}; wait`], { timeoutMs: 500 });
    await expect(command).rejects.toThrow('took longer than 0.5 s');
    const pid = Number(readFileSync(pidFile, 'utf8'));
    for (let tries = 0; tries < 50 && isAlive(pid); tries += 1) await sleep(20);
    expect(isAlive(pid)).toBe(false);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
