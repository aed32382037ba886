// Entropy of a relevancy map, in nats, in three senses; as companion/src/patchlight/calibration/entropy.py,
// number for number.
import { scottBandwidth } from './kernel-density';

/** What `p` is in the paper's H = -sum p log p; in the order in which they are offered. */
export const entropyKinds = ['sum', 'kde', 'bernoulli'] as const;

export type EntropyKind = (typeof entropyKinds)[number];

/** As each is written wherever it is named. */
export const entropyNames: Readonly<Record<EntropyKind, string>> = {
  sum: 'sum-normalised',
  kde: 'kernel density',
  bernoulli: 'Bernoulli',
};

export function entropyOf(kind: EntropyKind, map: ArrayLike<number>): number {
  switch (kind) {
    case 'sum':
      return sumNormalisedNats(map);
    case 'kde':
      return kernelDensityNats(map);
    case 'bernoulli':
      return bernoulliNats(map);
  }
}

/** p_i = x_i / sum x, of scores that are not negative: 0 to log N. NaN where all are 0. */
export function sumNormalisedNats(scores: ArrayLike<number>): number {
  let sum = 0;
  let weighted = 0;
  for (let i = 0; i < scores.length; i++) {
    const x = scores[i]!;
    sum += x;
    weighted += xLog(x);
  }
  // -sum (x / S) log(x / S), taken apart; an entropy of 0 is not let round below it.
  return Math.max(0, Math.log(sum) - weighted / sum);
}

/**
 * p the Gaussian kernel density of the scores themselves (Scott's bandwidth) at each score, renormalised: up to log N.
 * Scores that are all the same have no bandwidth; their density is the same everywhere, and H is log N.
 */
export function kernelDensityNats(scores: ArrayLike<number>): number {
  const n = scores.length;
  const bandwidth = scottBandwidth(scores);
  if (!(bandwidth > 0)) return hasNaN(scores) ? Number.NaN : Math.log(n);
  const perBandwidth = Math.SQRT1_2 / bandwidth;
  const scaled = Float64Array.from(scores, (score) => score * perBandwidth);
  // Each pair once; every score is beside itself.
  const density = new Float64Array(n).fill(1);
  for (let i = 0; i < n; i++) {
    const here = scaled[i]!;
    let sum = 0;
    for (let j = 0; j < i; j++) {
      const off = here - scaled[j]!;
      const weight = Math.exp(-off * off);
      sum += weight;
      density[j] = density[j]! + weight;
    }
    density[i] = density[i]! + sum;
  }
  return sumNormalisedNats(density);
}

/** Mean binary entropy of the patches' probabilities: 0 to log 2. */
export function bernoulliNats(probabilities: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) sum -= xLog(probabilities[i]!) + xLog(1 - probabilities[i]!);
  return sum / probabilities.length;
}

const xLog = (x: number) => (x === 0 ? 0 : x * Math.log(x));

function hasNaN(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) return true;
  return false;
}
