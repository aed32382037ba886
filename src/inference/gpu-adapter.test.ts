import { expect, test } from 'vitest';
import { isSoftware } from './gpu-adapter';

const named = (vendor: string, description = '', isFallbackAdapter = false) => ({
  vendor,
  description,
  isFallbackAdapter,
  architecture: '',
  device: '',
});

test('recognises software adapters by name and by the fallback flag', () => {
  expect(isSoftware({ ...named('google'), architecture: 'swiftshader' })).toBe(true);
  expect(isSoftware(named('mesa', 'llvmpipe (LLVM 19.1.7, 256 bits)'))).toBe(true);
  expect(isSoftware(named('microsoft', 'Microsoft Basic Render Driver'))).toBe(true);
  expect(isSoftware(named('', '', true))).toBe(true);
});

test('accepts hardware adapters, even if the browser does not name them', () => {
  expect(isSoftware({ ...named('nvidia'), architecture: 'ampere' })).toBe(false);
  expect(isSoftware(named('apple', 'Apple M2'))).toBe(false);
  expect(isSoftware(named(''))).toBe(false);
});
