import { expect, test } from 'vitest';
import { threadCount } from './thread-count';

const scope = { crossOriginIsolated: true, SharedArrayBuffer, navigator: { hardwareConcurrency: 8 } };

test('uses up to four cores', () => {
  expect(threadCount(scope)).toBe(4);
  expect(threadCount({ ...scope, navigator: { hardwareConcurrency: 2 } })).toBe(2);
});

test('uses one thread if the page is not isolated or threads cannot share memory', () => {
  expect(threadCount({ ...scope, crossOriginIsolated: false })).toBe(1);
  expect(threadCount({ ...scope, SharedArrayBuffer: undefined })).toBe(1);
});

test('uses one thread if the browser does not tell the number of cores', () => {
  expect(threadCount({ ...scope, navigator: {} })).toBe(1);
});

test('uses no more threads than requested', () => {
  expect(threadCount(scope, 1)).toBe(1);
  expect(threadCount(scope, 3)).toBe(3);
});
