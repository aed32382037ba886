/** A seeded random number generator: the same seed yields the same numbers on every platform. */
export interface Random {
  /** Uniform, 0 <= value < 1, in steps of 2^-32. */
  unit(): number;
  /** Normal, with mean 0 and standard deviation 1. */
  normal(): number;
}

/** The sfc32 generator (Chris Doty-Humphrey), with its state derived from the seed. */
export function createRandom(seed: number): Random {
  let a = mixBits(seed);
  let b = mixBits(a ^ 0x9e3779b9);
  let c = mixBits(b ^ 0x243f6a88);
  let counter = 1;
  const unit = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return (sum >>> 0) / 4294967296;
  };
  for (let i = 0; i < 12; i++) unit();
  // The Box-Muller transform yields pairs of numbers; keep the second for the next call.
  let spare: number | undefined;
  const normal = () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const length = Math.sqrt(-2 * Math.log(1 - unit()));
    const angle = 2 * Math.PI * unit();
    spare = length * Math.sin(angle);
    return length * Math.cos(angle);
  };
  return { unit, normal };
}

/** A 32-bit bijective hash that maps neighbouring values to unrelated ones (Wellons' lowbias32). */
export function mixBits(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Draws a Poisson number: Knuth's product of uniforms for a mean below 12, else a rounded normal approximation. */
export function drawPoisson(mean: number, { unit, normal }: Random): number {
  if (mean < 12) {
    const limit = Math.exp(-mean);
    let count = 0;
    for (let product = unit(); product > limit; product *= unit()) count++;
    return count;
  }
  return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal()));
}
