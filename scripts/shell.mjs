// @ts-check
// Runs one command in a process group of its own, so that what it started ends with it.
import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** @typedef {{ cwd?: string, env?: Record<string, string>, timeoutMs?: number }} RunOptions */

/** @type {Set<number>} */
const groups = new Set();

/** @param {number} pid */
function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => {
    for (const pid of groups) endGroup(pid);
    process.exit(130);
  });
}

/**
 * Resolves when the command has exited with 0; rejects with the reason where it has not.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<void>}
 */
export function run(command, args, { cwd = root, env = {}, timeoutMs = 15 * 60_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    });
    if (child.pid !== undefined) groups.add(child.pid);
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      if (child.pid !== undefined) endGroup(child.pid);
    }, timeoutMs);
    const settle = () => {
      clearTimeout(timer);
      if (child.pid === undefined) return;
      endGroup(child.pid);
      groups.delete(child.pid);
    };
    child.on('error', (error) => {
      settle();
      reject(new Error(`${command} did not start: ${error.message}`));
    });
    child.on('exit', (code, signal) => {
      settle();
      if (code === 0) return resolve();
      const how = timedOut ? `took longer than ${timeoutMs / 1000} s` : `exited with ${code ?? signal}`;
      reject(new Error(`${command} ${args.join(' ')} ${how}`));
    });
  });
}
