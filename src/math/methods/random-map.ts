import { createRandom } from '../random';

/** The control that every method must beat: the mean of five uniform numbers per patch, seeded by run and token. */
export function randomMap(runId: string, tokenIndex: number, patches: number): Float32Array {
  const { unit } = createRandom(seedOf(`${runId}/${tokenIndex}`));
  const map = new Float32Array(patches);
  for (let patch = 0; patch < patches; patch++) map[patch] = (unit() + unit() + unit() + unit() + unit()) / 5;
  return map;
}

/** 32-bit FNV-1a hash of the UTF-16 code units. */
function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
