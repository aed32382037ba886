import { bootstrapBands } from './bootstrap';
import { binnedDensity, type EvenGrid, exactDensity, scottBandwidth } from './kernel-density';

/** One class's density on a grid, as far as there is one. */
export type ClassDensity =
  | {
      readonly state: 'banded';
      readonly n: number;
      /** Of the Gaussian kernel, in the values' unit. */
      readonly bandwidth: number;
      /** [points], of integral 1. */
      readonly density: Float64Array;
      /** Pointwise 95 % bootstrap interval. */
      readonly low: Float64Array;
      readonly high: Float64Array;
    }
  /** A density without bands, and why they are left out. */
  | {
      readonly state: 'bare';
      readonly n: number;
      readonly bandwidth: number;
      readonly density: Float64Array;
      readonly why: string;
    }
  /** None can be told, and why. */
  | { readonly state: 'none'; readonly n: number; readonly why: string };

/** Fewer samples of a class have no bands: a percentile of 200 resamples of so few says little more than which they were. */
export const leastForBands = 30;

/** Fewer have no density at all. */
export const leastForDensity = 5;

const exactUpTo = 1 << 19;

export interface DensityOptions {
  readonly grid: EvenGrid;
  /** In the values' unit; `undefined`: Scott's. */
  readonly bandwidth: number | undefined;
  /** Times Scott's, where `bandwidth` is undefined. */
  readonly bandwidthFactor: number;
  /** 0: no bands are asked for. */
  readonly resamples: number;
  readonly seed: number;
}

/** Of finite values; `name` is what the sentences call the class: "right answers". */
export function classDensity(values: Float64Array, name: string, options: DensityOptions): ClassDensity {
  const n = values.length;
  const { grid, bandwidthFactor, resamples, seed } = options;
  if (n === 0) return { state: 'none', n, why: `There are no ${name}.` };
  if (n < leastForDensity)
    return { state: 'none', n, why: `There are ${n} ${name}; a density needs at least ${leastForDensity}.` };
  const bandwidth = options.bandwidth ?? scottBandwidth(values) * bandwidthFactor;
  if (!(bandwidth > 0))
    return { state: 'none', n, why: `All ${n} ${name} have the same value, ${Number(values[0]!.toPrecision(4))}.` };
  const why =
    n < leastForBands
      ? `There are ${n} ${name}; bands need at least ${leastForBands}.`
      : resamples === 0
        ? 'Bands were not asked for.'
        : undefined;
  if (why === undefined)
    return { state: 'banded', n, bandwidth, ...bootstrapBands(values, grid, bandwidth, { resamples, seed }) };
  const densityOf = n * grid.points <= exactUpTo ? exactDensity : binnedDensity;
  return { state: 'bare', n, bandwidth, density: densityOf(values, grid, bandwidth), why };
}
