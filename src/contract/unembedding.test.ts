import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseUnembedding } from './unembedding';

const recorded = readFileSync(new URL('./fixtures/vocabulary.rows', import.meta.url));

it('names both versions if it does not support the format', async () => {
  const at = recorded.indexOf('"formatVersion": 1');
  expect(at).toBeGreaterThan(0);
  const later = new Uint8Array(recorded);
  later[at + '"formatVersion": '.length] = '7'.charCodeAt(0);
  const expected = { ids: [], hiddenSize: 1 };
  await expect(parseUnembedding(later, expected)).rejects.toThrow(
    'these unembedding rows have format version 7; this page supports version 1',
  );
});
