import { bootstrapBands } from './bootstrap';
import { binnedDensity, type EvenGrid, exactDensity, scottBandwidth } from './kernel-density';
import { refuseNaN } from './numbers';

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

/** A narrower bandwidth, relative to the grid's values, is not much more than their rounding error. */
const minResolution = 1e-12;

/** Maximum bandwidth, in widths of the grid. */
const maxBandwidths = 100;

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

/**
 * Estimates the density of the finite values; infinite ones have no density. `name` is what messages call the class:
 * "right answers". Throws if a value is NaN.
 */
export function classDensity(all: Float64Array, name: string, options: DensityOptions): ClassDensity {
  refuseNaN(all, `values of ${name}`);
  const values = all.every(Number.isFinite) ? all : all.filter(Number.isFinite);
  const n = values.length;
  const { grid, bandwidthFactor, resamples, seed } = options;
  const none = (why: string): ClassDensity => ({ state: 'none', n, why });
  if (all.length === 0) return none(`There are no ${name}.`);
  if (n < minForDensity)
    return none(
      `A density needs at least ${minForDensity} ${name}${n < all.length ? ' with a finite value' : ''}, found ${n}.`,
    );
  const bandwidth = options.bandwidth ?? scottBandwidth(values) * bandwidthFactor;
  if (Number.isNaN(bandwidth) && values.every((value) => value === values[0]))
    return none(`All ${n} ${name} have the same value, ${shown(values[0]!)}.`);
  const { from, to } = grid;
  if (!(bandwidth > minResolution * Math.max(Math.abs(from), Math.abs(to)) && to - from > 0))
    return none(`The values of the ${n} ${name} differ too little for a density: all are about ${shown(values[0]!)}.`);
  if (!(Number.isFinite(bandwidth) && Number.isFinite(to - from)))
    return none(`The values of the ${n} ${name} differ too much for a density.`);
  if (bandwidth > maxBandwidths * (to - from))
    return none(`A bandwidth of ${shown(bandwidth)} is too wide for a chart from ${shown(from)} to ${shown(to)}.`);
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

const shown = (value: number) => String(Number(value.toPrecision(4)));
