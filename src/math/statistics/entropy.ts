// Three kinds of entropy of a relevancy map, in nats. The values match companion/src/patchlight/calibration/entropy.py.
import { scaledBandwidth } from './kernel-density';
import { offsetsOf } from './numbers';

/** In display order. Each kind defines `p` in the paper's H = -sum p log p differently. */
export const entropyKinds = ['sum', 'kde', 'bernoulli'] as const;

export type EntropyKind = (typeof entropyKinds)[number];

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

/** Entropy of p_i = x_i / sum x for non-negative scores: 0 to log N. NaN if all are 0, or if there are none. */
export function sumNormalisedNats(scores: ArrayLike<number>): number {
  let max = 0;
  for (let i = 0; i < scores.length; i++) max = Math.max(max, scores[i]!);
  // Extreme scores are scaled, so that their sum neither overflows nor loses digits.
  if (!(max > 0 && max < Number.POSITIVE_INFINITY)) return Number.NaN;
  const unit = max > 1e290 || max < 1e-290 ? max : 1;
  let sum = 0;
  let weighted = 0;
  for (let i = 0; i < scores.length; i++) {
    const x = scores[i]! / unit;
    sum += x;
    weighted += xLog(x);
  }
  // -sum (x / S) log(x / S), expanded; rounding must not make an entropy of 0 negative.
  return Math.max(0, Math.log(sum) - weighted / sum);
}

/**
 * Entropy of p, where p_i is the normalised Gaussian kernel density of the scores at score i, with Scott's bandwidth:
 * at most log N. Equal scores have no bandwidth; they all have the same p_i, so the entropy is log N. NaN if a score is
 * not finite, or if there are none.
 */
export function kernelDensityNats(scores: ArrayLike<number>): number {
  const n = scores.length;
  if (n === 0 || !areFinite(scores)) return Number.NaN;
  const spread = offsetsOf(scores);
  if (spread === undefined) return Math.log(n);
  const perBandwidth = Math.SQRT1_2 / scaledBandwidth(spread.offsets);
  const scaled = spread.offsets.map((offset) => offset * perBandwidth);
  // Computes each pair once. The initial 1 is each score's kernel at itself.
  const density = new Float64Array(n).fill(1);
  for (let i = 0; i < n; i++) {
    const score = scaled[i]!;
    let sum = 0;
    for (let j = 0; j < i; j++) {
      const distance = score - scaled[j]!;
      const weight = Math.exp(-distance * distance);
      sum += weight;
      density[j] = density[j]! + weight;
    }
    density[i] = density[i]! + sum;
  }
  return sumNormalisedNats(density);
}

/** Mean binary entropy of the patch probabilities: 0 to log 2. */
export function bernoulliNats(probabilities: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) sum -= xLog(probabilities[i]!) + xLog(1 - probabilities[i]!);
  return sum / probabilities.length;
}

const xLog = (x: number) => (x === 0 ? 0 : x * Math.log(x));

function areFinite(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}
