import { createHash } from 'node:crypto';
import { afterEach, expect, it, vi } from 'vitest';
import { sha256Hex } from './sha256';

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => (i * 7) % 256);
const wanted = createHash('sha256').update(bytes).digest('hex');

afterEach(() => vi.unstubAllGlobals());

it("is Node's, by the engine's own and where that is missing", async () => {
  expect(await sha256Hex(bytes)).toBe(wanted);
  vi.stubGlobal('crypto', {});
  expect(await sha256Hex(bytes)).toBe(wanted);
});
