import { between, offsetsOf } from './numbers';

/** Evenly spaced points from `from` to `to`, both included. */
export interface EvenGrid {
  readonly from: number;
  readonly to: number;
  readonly points: number;
}

export function gridPoints({ from, to, points }: EvenGrid): Float64Array {
  return Float64Array.from({ length: points }, (_, i) => between(from, to, points === 1 ? 0 : i / (points - 1)));
}

/**
 * Scott's bandwidth (1992), as in SciPy's `gaussian_kde`: the sample standard deviation (n - 1) times n^(-1/5). NaN for
 * fewer than two values, for equal values and if a value is not finite.
 */
export function scottBandwidth(values: ArrayLike<number>): number {
  const spread = offsetsOf(values);
  if (spread === undefined) return Number.NaN;
  const bandwidth = scaledBandwidth(spread.offsets) / spread.scale[1] / spread.scale[0];
  return bandwidth > 0 ? bandwidth : Number.NaN;
}

/** Scott's bandwidth of offsets, in their own unit. */
export function scaledBandwidth(offsets: Float64Array): number {
  const n = offsets.length;
  let mean = 0;
  let squares = 0;
  for (let i = 0; i < n; i++) {
    const difference = offsets[i]! - mean;
    mean += difference / (i + 1);
    squares += difference * (offsets[i]! - mean);
  }
  return Math.sqrt(squares / (n - 1)) * n ** (-1 / 5);
}

/** The Gaussian kernel density at each grid point, summed over all values. */
export function exactDensity(values: ArrayLike<number>, grid: EvenGrid, bandwidth: number): Float64Array {
  const scale = 1 / (values.length * Math.sqrt(2 * Math.PI)) / bandwidth;
  return gridPoints(grid).map((point) => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) {
      const distance = (values[i]! - point) / bandwidth;
      sum += Math.exp(-0.5 * distance * distance);
    }
    return sum * scale;
  });
}

/** With this many cells per bandwidth, splitting each value between two cells changes a density by less than 5e-4 of its peak. */
const cellsPerBandwidth = 16;
const maxCellsPerStep = 64;
/** Distance at which the kernel is cut off, in bandwidths. */
const kernelReach = 5;
/** In cells. */
const maxReach = 1 << 20;

/**
 * Values binned into fine cells around a grid's points. The density is the convolution of the counts with the kernel,
 * so the cost of a resample depends on the number of cells, not on the number of values. Values beyond the kernel's
 * reach of any point go into one last cell, which does not contribute.
 */
export interface BinnedSamples {
  /** [cells + 1], each value in the nearest cell. */
  readonly counts: Uint32Array;
  /** [cells + 1], each value split between the two nearest cells. */
  readonly weights: Float64Array;
  /** The density for other counts or weights of the same cells, which represent `total` values. */
  density(counts: ArrayLike<number>, total: number): Float64Array;
}

export function binSamples(values: ArrayLike<number>, grid: EvenGrid, bandwidth: number): BinnedSamples {
  const { from, to, points } = grid;
  const step = to / (points - 1) - from / (points - 1);
  const perStep = Math.min(maxCellsPerStep, Math.max(1, Math.ceil((step / bandwidth) * cellsPerBandwidth)));
  const width = step / perStep;
  const reach = Math.max(1, Math.ceil((bandwidth / width) * kernelReach));
  if (!(reach <= maxReach))
    throw new RangeError(`a bandwidth of ${bandwidth} is too wide for a grid from ${from} to ${to}`);
  const cells = (points - 1) * perStep + 1 + 2 * reach;
  const counts = new Uint32Array(cells + 1);
  const weights = new Float64Array(cells + 1);
  let first = cells;
  let last = -1;
  for (let i = 0; i < values.length; i++) {
    const position = (values[i]! - from) / width + reach;
    const below = Math.floor(position);
    if (below >= 0 && below + 1 < cells) {
      const fraction = position - below;
      const cell = fraction < 0.5 ? below : below + 1;
      counts[cell] = counts[cell]! + 1;
      weights[below] = weights[below]! + 1 - fraction;
      weights[below + 1] = weights[below + 1]! + fraction;
      if (below < first) first = below;
      if (below >= last) last = below + 1;
    } else counts[cells] = counts[cells]! + 1;
  }
  const kernel = Float64Array.from({ length: 2 * reach + 1 }, (_, i) => {
    const distance = ((i - reach) * width) / bandwidth;
    return Math.exp(-0.5 * distance * distance) / bandwidth / Math.sqrt(2 * Math.PI);
  });
  return {
    counts,
    weights,
    density(of, total) {
      const density = new Float64Array(points);
      for (let point = 0; point < points; point++) {
        const start = point * perStep;
        const end = Math.min(last, start + 2 * reach);
        let sum = 0;
        for (let cell = Math.max(first, start); cell <= end; cell++) sum += of[cell]! * kernel[cell - start]!;
        density[point] = sum / total;
      }
      return density;
    },
  };
}

/**
 * Approximates `exactDensity` to within 5e-4 of its peak; the cost grows with the number of cells, not the number of
 * values.
 */
export function binnedDensity(values: ArrayLike<number>, grid: EvenGrid, bandwidth: number): Float64Array {
  const binned = binSamples(values, grid, bandwidth);
  return binned.density(binned.weights, values.length);
}
