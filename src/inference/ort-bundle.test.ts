import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { chooseOrtBundle, ortBundles } from './ort-bundle';

const sizeOf = (file: string) => statSync(createRequire(import.meta.url).resolve(`onnxruntime-web/${file}`)).size;

test('chooses the smallest suitable build', () => {
  expect(chooseOrtBundle({ webgpu: false, suspending: true })).toBe(ortBundles.plain);
  expect(chooseOrtBundle({ webgpu: true, suspending: true })).toBe(ortBundles.jspi);
  expect(chooseOrtBundle({ webgpu: true, suspending: false })).toBe(ortBundles.asyncify);
});

test('states the size of each build', () => {
  expect(ortBundles.plain.bytes).toBe(sizeOf('ort-wasm-simd-threaded.wasm'));
  expect(ortBundles.jspi.bytes).toBe(sizeOf('ort-wasm-simd-threaded.jspi.wasm'));
  expect(ortBundles.asyncify.bytes).toBe(sizeOf('ort-wasm-simd-threaded.asyncify.wasm'));
});
