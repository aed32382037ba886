import { expect, test } from 'vitest';
import { createRecent } from './recent';

test('keeps what was wanted last, and makes the rest again', async () => {
  const made: string[] = [];
  const recent = createRecent<string>(2);
  const want = (key: string) =>
    recent.ensure(key, async () => {
      made.push(key);
      return key.toUpperCase();
    });
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) expect(await want(key)).toBe(key.toUpperCase());
  expect(made).toEqual(['a', 'b', 'c', 'b']);
});

test('what failed is tried again', async () => {
  const recent = createRecent<number>(1);
  await expect(recent.ensure('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await recent.ensure('a', async () => 1)).toBe(1);
});
