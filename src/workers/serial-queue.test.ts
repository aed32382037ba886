import { expect, test } from 'vitest';
import { createSerialQueue } from './serial-queue';

test('starts a task only when the one before has ended', async () => {
  const queue = createSerialQueue();
  const log: string[] = [];
  const task = (name: string) => async () => {
    log.push(`${name} starts`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    log.push(`${name} ends`);
  };
  await Promise.all([queue.run(task('a')), queue.run(task('b'))]);
  expect(log).toEqual(['a starts', 'a ends', 'b starts', 'b ends']);
});

test('goes on after a failure, which only its own caller sees', async () => {
  const queue = createSerialQueue();
  const failed = queue.run(() => Promise.reject(new Error('no device')));
  const next = queue.run(async () => 7);
  await expect(failed).rejects.toThrow('no device');
  await expect(next).resolves.toBe(7);
});
