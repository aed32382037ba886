import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { findMismatch } from './model-files';

const bytes = new TextEncoder().encode('weights');
const sha256 = createHash('sha256').update(bytes).digest('hex');

test('accepts bytes that match the manifest', async () => {
  expect(await findMismatch(bytes, { path: 'a.onnx', sha256, bytes: 7 })).toBeUndefined();
});

test('refuses a changed byte, naming the file and both hashes', async () => {
  const changed = bytes.with(0, 0) as Uint8Array<ArrayBuffer>;
  const mismatch = await findMismatch(changed, { path: 'a.onnx', sha256, bytes: 7 });
  expect(mismatch).toMatch(/^a\.onnx does not match its checksum/);
  expect(mismatch).toContain(sha256.slice(0, 12));
});

test('refuses a truncated file, naming both lengths', async () => {
  expect(await findMismatch(bytes, { path: 'a.onnx', sha256, bytes: 70 })).toBe(
    'a.onnx has 7 bytes; its manifest says 70',
  );
});
