// @ts-check
import { expect, it } from 'vitest';
import { schedule } from './schedule.mjs';

/** Returns tasks that the test ends explicitly, and the names of those that have started. */
function tasksByHand() {
  /** @type {string[]} */
  const started = [];
  /** @type {Map<string, { end: () => void, fail: (reason: string) => void }>} */
  const ends = new Map();
  /** @param {string} name @param {Partial<import('./schedule.mjs').Task>} [more] */
  const task = (name, more) => ({
    name,
    slots: 1,
    after: [],
    run: () =>
      /** @type {Promise<void>} */ (
        new Promise((resolve, reject) => {
          started.push(name);
          ends.set(name, { end: resolve, fail: (reason) => reject(new Error(reason)) });
        })
      ),
    ...more,
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return {
    task,
    started,
    /** @param {string} name */
    async end(name) {
      ends.get(name)?.end();
      await turn();
    },
    /** @param {string} name @param {string} reason */
    async fail(name, reason) {
      ends.get(name)?.fail(reason);
      await turn();
    },
  };
}

it('starts tasks in order, up to the number of slots', async () => {
  const { task, started, end } = tasksByHand();
  const all = schedule([task('a'), task('b'), task('c')], 2);
  expect(started).toEqual(['a', 'b']);
  await end('b');
  expect(started).toEqual(['a', 'b', 'c']);
  await end('a');
  await end('c');
  expect((await all).map(({ name }) => name)).toEqual(['b', 'a', 'c']);
});

it('runs a task that needs all slots alone, and fills a free slot with a smaller one while it waits', async () => {
  const { task, started, end } = tasksByHand();
  const all = schedule([task('a'), task('wide', { slots: 8 }), task('b')], 2);
  expect(started, 'b fits next to a, wide does not').toEqual(['a', 'b']);
  await end('a');
  expect(started).toEqual(['a', 'b']);
  await end('b');
  expect(started).toEqual(['a', 'b', 'wide']);
  await end('wide');
  await all;
});

it('fails tasks that depend on a failed one, and runs the rest', async () => {
  const { task, started, fail, end } = tasksByHand();
  const tasks = [
    task('build'),
    task('bundle', { after: ['build'] }),
    task('budget', { after: ['bundle'] }),
    task('lint'),
  ];
  const all = schedule(tasks, 1);
  await fail('build', 'no disk');
  expect(started).toEqual(['build', 'lint']);
  await end('lint');
  const failures = Object.fromEntries((await all).map(({ name, failure }) => [name, failure]));
  expect(failures).toEqual({
    build: 'no disk',
    bundle: 'not run: build failed',
    budget: 'not run: bundle failed',
    lint: undefined,
  });
});

it('ends when the last task is not run because of an earlier failure', async () => {
  const { task, fail } = tasksByHand();
  const all = schedule([task('build'), task('bundle', { after: ['build'] })], 2);
  await fail('build', 'no disk');
  expect(await all).toHaveLength(2);
});

it('refuses a list in which a task precedes its dependency', async () => {
  const { task } = tasksByHand();
  await expect(schedule([task('bundle', { after: ['build'] }), task('build')], 1)).rejects.toThrow(
    'bundle comes after build, which is not earlier in the list',
  );
});

it('notifies its listeners of started and ended tasks', async () => {
  /** @type {string[]} */
  const heard = [];
  await schedule([{ name: 'a', slots: 1, after: [], run: async () => {} }], 1, {
    onStart: (name) => heard.push(`start ${name}`),
    onEnd: ({ name, failure }) => heard.push(`end ${name} ${failure}`),
  });
  expect(heard).toEqual(['start a', 'end a undefined']);
});
