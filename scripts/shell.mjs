// @ts-check
// Runs a command in its own process group, so that all processes it starts end with it.
import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** A command without output for this long counts as hung; a slow one that still prints is not stopped. */
const defaultStallMs = 10 * 60_000;

/**
 * @typedef {object} RunOptions
 * @property {string} [cwd]
 * @property {Record<string, string>} [env]
 * @property {(text: string) => void} [onOutput] receives stdout and stderr; without it both go to the terminal
 * @property {number} [stallMs] kills the command after this long without output; only with onOutput
 */

/** @type {Set<number>} */
const groups = new Set();

/** @param {number} pid */
function endGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group has already ended.
  }
}

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => {
    for (const pid of groups) endGroup(pid);
    process.exit(130);
  });
}

/**
 * Resolves if the command exits with 0, otherwise rejects with the reason.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<void>}
 */
export function run(command, args, { cwd = root, env = {}, onOutput, stallMs = defaultStallMs } = {}) {
  return new Promise((resolve, reject) => {
    const output = onOutput ? 'pipe' : 'inherit';
    const child = spawn(command, [...args], {
      cwd,
      // Python buffers output to a pipe by default.
      env: { ...process.env, ...(onOutput && { PYTHONUNBUFFERED: '1' }), ...env },
      stdio: ['ignore', output, output],
      detached: true,
    });
    if (child.pid !== undefined) groups.add(child.pid);
    let isStalled = false;
    const watchdog = onOutput
      ? setTimeout(() => {
          isStalled = true;
          if (child.pid !== undefined) endGroup(child.pid);
        }, stallMs)
      : undefined;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (/** @type {string} */ text) => {
        watchdog?.refresh();
        onOutput?.(text);
      });
    }
    const settle = () => {
      clearTimeout(watchdog);
      if (child.pid === undefined) return;
      endGroup(child.pid);
      groups.delete(child.pid);
    };
    child.on('error', (error) => {
      settle();
      reject(new Error(`${command} did not start: ${error.message}`));
    });
    // Ends any processes that the command left running: they keep its pipes open, which delays "close".
    child.on('exit', settle);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve();
      const how = isStalled ? `printed nothing for ${stallMs / 1000} s` : `exited with ${code ?? signal}`;
      reject(new Error(`${command} ${args.join(' ')} ${how}`));
    });
  });
}
