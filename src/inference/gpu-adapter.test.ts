import { expect, test } from 'vitest';
import { isSoftware } from './gpu-adapter';

const named = (vendor: string, description = '', isFallbackAdapter = false) => ({
  vendor,
  description,
  isFallbackAdapter,
  architecture: '',
  device: '',
});

test('tells software adapters by their names and by their own word', () => {
  expect(isSoftware({ ...named('google'), architecture: 'swiftshader' })).toBe(true);
  expect(isSoftware(named('mesa', 'llvmpipe (LLVM 19.1.7, 256 bits)'))).toBe(true);
  expect(isSoftware(named('microsoft', 'Microsoft Basic Render Driver'))).toBe(true);
  expect(isSoftware(named('', '', true))).toBe(true);
});

test('takes hardware for what it is, a browser that names none as well', () => {
  expect(isSoftware({ ...named('nvidia'), architecture: 'ampere' })).toBe(false);
  expect(isSoftware(named('apple', 'Apple M2'))).toBe(false);
  expect(isSoftware(named(''))).toBe(false);
});
