import { expect, test } from 'vitest';
import { createRecent } from './recent';

test('keeps the most recently used values', () => {
  const made: string[] = [];
  const recent = createRecent<{ readonly name: string }>(2);
  const use = (key: string) => {
    const known = recent.get(key);
    if (known) return known;
    made.push(key);
    return recent.keep(key, { name: key });
  };
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) expect(use(key)).toEqual({ name: key });
  expect(made).toEqual(['a', 'b', 'c', 'b']);
});
