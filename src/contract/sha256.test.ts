import { createHash } from 'node:crypto';
import { afterEach, expect, it, vi } from 'vitest';
import { sha256Hex } from './sha256';

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) % 256);
const expected = createHash('sha256').update(bytes).digest('hex');

afterEach(() => vi.unstubAllGlobals());

it("matches Node's hash, with Web Crypto and without it", async () => {
  expect(await sha256Hex(bytes)).toBe(expected);
  vi.stubGlobal('crypto', {});
  expect(await sha256Hex(bytes)).toBe(expected);
});
