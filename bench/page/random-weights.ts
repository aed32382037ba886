/** A fast seeded xorshift generator, uniform in -1..1. */
export function createNoise(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state / 2 ** 31;
  };
}

export function randomFloats(count: number, noise: () => number, size = 1): Float32Array {
  return Float32Array.from({ length: count }, () => size * noise());
}

/**
 * Fills an array with random fp16 values of either sign, with magnitudes between 1/4 and 1. Generates their bits
 * directly, because rounding 26 million values (d = 5120) would take longer than the benchmark.
 */
export function fillHalfs(halfs: Uint16Array, noise: () => number): void {
  for (let i = 0; i < halfs.length; i++) {
    const bits = noise() * 2 ** 31;
    halfs[i] = (bits & 0x83ff) | ((13 + ((bits >>> 10) & 1)) << 10);
  }
}

export function halfToNumber(bits: number): number {
  const exponent = (bits >>> 10) & 0x1f;
  const sign = bits & 0x8000 ? -1 : 1;
  return exponent === 0 ? sign * 2 ** -24 * (bits & 0x3ff) : sign * 2 ** (exponent - 15) * (1 + (bits & 0x3ff) / 1024);
}
