// @ts-check
// Runs tasks in parallel within a limited number of job slots. Tasks start in the given order, each as soon as its
// dependencies have passed and enough slots are free; a smaller task may start before an earlier one that does not fit.

/**
 * @typedef {object} Task
 * @property {string} name
 * @property {number} slots number of slots it uses; all of them if it needs more than there are
 * @property {readonly string[]} after its dependencies, which must be earlier in the list
 * @property {() => Promise<void>} run
 */

/** @typedef {{ name: string, durationMs: number, failure?: string }} Result */

/**
 * @typedef {object} Listeners
 * @property {(name: string) => void} [onStart]
 * @property {(result: Result) => void} [onEnd]
 */

/**
 * If a task fails, tasks that depend on it fail too; everything else still runs.
 * @param {readonly Task[]} tasks
 * @param {number} slots
 * @param {Listeners} [listeners]
 * @returns {Promise<Result[]>} in order of completion
 */
export async function schedule(tasks, slots, { onStart, onEnd } = {}) {
  checkOrder(tasks);
  /** @type {Map<string, Result>} */
  const results = new Map();
  /** @type {Map<string, Promise<void>>} */
  const running = new Map();
  const waiting = new Set(tasks);
  let free = slots;

  /** @param {Result} result */
  const end = (result) => {
    results.set(result.name, result);
    onEnd?.(result);
  };

  /** @param {Task} task @param {number} taken */
  const start = async ({ name, run }, taken) => {
    free -= taken;
    onStart?.(name);
    const startMs = performance.now();
    const failure = await failureOf(run);
    free += taken;
    running.delete(name);
    end({ name, durationMs: performance.now() - startMs, ...(failure !== undefined && { failure }) });
  };

  while (waiting.size > 0) {
    for (const task of waiting) {
      const taken = Math.min(task.slots, slots);
      const failed = task.after.find((name) => results.get(name)?.failure !== undefined);
      if (failed !== undefined) {
        waiting.delete(task);
        end({ name: task.name, durationMs: 0, failure: `not run: ${failed} failed` });
      } else if (taken <= free && task.after.every((name) => results.has(name))) {
        waiting.delete(task);
        running.set(task.name, start(task, taken));
      }
    }
    if (running.size > 0) await Promise.race(running.values());
  }
  await Promise.all(running.values());
  return [...results.values()];
}

/** @param {() => Promise<void>} run */
async function failureOf(run) {
  try {
    await run();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Requires every task to come after its dependencies, which also rules out cycles.
 * @param {readonly Task[]} tasks
 */
function checkOrder(tasks) {
  /** @type {Set<string>} */
  const earlier = new Set();
  for (const { name, after } of tasks) {
    const missing = after.find((other) => !earlier.has(other));
    if (missing !== undefined) throw new Error(`${name} comes after ${missing}, which is not earlier in the list`);
    earlier.add(name);
  }
}
