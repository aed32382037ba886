/** What any method must beat: patch by patch the mean of five uniform numbers, the same for the same run and token. */
export function randomMap(runId: string, tokenIndex: number, patches: number): Float32Array {
  const next = uniformNumbers(seedOf(`${runId}/${tokenIndex}`));
  return Float32Array.from({ length: patches }, () => (next() + next() + next() + next() + next()) / 5);
}

/** FNV-1a, 32 bits, of the UTF-16 units. */
function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** 0..1, by the mulberry32 generator. */
function uniformNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
