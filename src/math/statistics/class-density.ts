import { bootstrapBands } from './bootstrap';
import { binnedDensity, type EvenGrid, exactDensity, scottBandwidth } from './kernel-density';

/** The density of one class on a grid, if it can be estimated. */
export type ClassDensity =
  | {
      readonly state: 'banded';
      readonly n: number;
      /** Bandwidth of the Gaussian kernel, in the same unit as the values. */
      readonly bandwidth: number;
      /** [points], integrates to 1. */
      readonly density: Float64Array;
      /** Pointwise 95 % bootstrap interval. */
      readonly low: Float64Array;
      readonly high: Float64Array;
    }
  /** A density without bands, and the reason. */
  | {
      readonly state: 'bare';
      readonly n: number;
      readonly bandwidth: number;
      readonly density: Float64Array;
      readonly why: string;
    }
  /** No density, and the reason. */
  | { readonly state: 'none'; readonly n: number; readonly why: string };

/** Minimum values in a class for bands: with fewer, bootstrap percentiles mostly reflect the individual values. */
export const minForBands = 30;

/** Minimum values in a class for a density. */
const minForDensity = 5;

/** Up to this many kernel evaluations, the density is computed exactly. */
const maxExactTerms = 1 << 19;

export interface DensityOptions {
  readonly grid: EvenGrid;
  /** In the values' unit; undefined for Scott's bandwidth times `bandwidthFactor`. */
  readonly bandwidth: number | undefined;
  readonly bandwidthFactor: number;
  /** 0 for no bands. */
  readonly resamples: number;
  readonly seed: number;
}

/** Estimates the density of finite values; `name` is what messages call the class: "right answers". */
export function classDensity(values: Float64Array, name: string, options: DensityOptions): ClassDensity {
  const n = values.length;
  const { grid, bandwidthFactor, resamples, seed } = options;
  if (n === 0) return { state: 'none', n, why: `There are no ${name}.` };
  if (n < minForDensity)
    return { state: 'none', n, why: `A density needs at least ${minForDensity} ${name}, found ${n}.` };
  const bandwidth = options.bandwidth ?? scottBandwidth(values) * bandwidthFactor;
  if (!(bandwidth > 0))
    return { state: 'none', n, why: `All ${n} ${name} have the same value, ${Number(values[0]!.toPrecision(4))}.` };
  const why =
    n < minForBands
      ? `Bands need at least ${minForBands} ${name}, found ${n}.`
      : resamples === 0
        ? 'Bands were not requested.'
        : undefined;
  if (why === undefined)
    return { state: 'banded', n, bandwidth, ...bootstrapBands(values, grid, bandwidth, { resamples, seed }) };
  const densityOf = n * grid.points <= maxExactTerms ? exactDensity : binnedDensity;
  return { state: 'bare', n, bandwidth, density: densityOf(values, grid, bandwidth), why };
}
