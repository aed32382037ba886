/** Points from one value to another, both included. */
export interface EvenGrid {
  readonly from: number;
  readonly to: number;
  readonly points: number;
}

export function gridPoints({ from, to, points }: EvenGrid): Float64Array {
  return Float64Array.from({ length: points }, (_, i) => from + ((to - from) * i) / (points - 1));
}

/**
 * Scott 1992, as SciPy's `gaussian_kde`: deviation (n - 1) times n^(-1/5). NaN for fewer than two values, and for values
 * that are all the same.
 */
export function scottBandwidth(values: ArrayLike<number>): number {
  const n = values.length;
  if (n < 2) return Number.NaN;
  let mean = 0;
  let squares = 0;
  for (let i = 0; i < n; i++) {
    const off = values[i]! - mean;
    mean += off / (i + 1);
    squares += off * (values[i]! - mean);
  }
  const deviation = Math.sqrt(squares / (n - 1));
  // What rounding leaves of equal values is no deviation.
  return deviation > Math.abs(mean) * 1e-12 ? deviation * n ** (-1 / 5) : Number.NaN;
}

/** The Gaussian kernel density at each grid point, sample by sample. */
export function exactDensity(values: ArrayLike<number>, grid: EvenGrid, bandwidth: number): Float64Array {
  const scale = 1 / (values.length * bandwidth * Math.sqrt(2 * Math.PI));
  const perBandwidth = Math.SQRT1_2 / bandwidth;
  return gridPoints(grid).map((point) => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) {
      const off = (values[i]! - point) * perBandwidth;
      sum += Math.exp(-off * off);
    }
    return sum * scale;
  });
}

/** Where cells are this part of the bandwidth wide, sharing each value between its two cells puts a density off by less than 5e-4 of its peak. */
const cellsPerBandwidth = 16;
const mostCellsPerStep = 64;
const kernelReach = 5;

/**
 * Values counted in fine cells around a grid's points, and the density as the counts' convolution with the kernel: a
 * resample costs its cells, not its samples. Values beyond the kernel's reach share one last cell, which no point sees.
 */
export interface BinnedSamples {
  /** [cells + 1], each value in the nearest cell. */
  readonly counts: Uint32Array;
  /** [cells + 1], each value shared between the two nearest cells. */
  readonly weights: Float64Array;
  /** Of counts or weights laid out as these, `total` values in all. */
  density(counts: ArrayLike<number>, total: number): Float64Array;
}

export function binSamples(values: ArrayLike<number>, grid: EvenGrid, bandwidth: number): BinnedSamples {
  const { from, to, points } = grid;
  const step = (to - from) / (points - 1);
  const perStep = Math.min(mostCellsPerStep, Math.max(1, Math.ceil((step * cellsPerBandwidth) / bandwidth)));
  const width = step / perStep;
  const reach = Math.max(1, Math.ceil((kernelReach * bandwidth) / width));
  const cells = (points - 1) * perStep + 1 + 2 * reach;
  const counts = new Uint32Array(cells + 1);
  const weights = new Float64Array(cells + 1);
  let first = cells;
  let last = -1;
  for (let i = 0; i < values.length; i++) {
    const place = (values[i]! - from) / width + reach;
    const below = Math.floor(place);
    if (below >= 0 && below + 1 < cells) {
      const part = place - below;
      const cell = part < 0.5 ? below : below + 1;
      counts[cell] = counts[cell]! + 1;
      weights[below] = weights[below]! + 1 - part;
      weights[below + 1] = weights[below + 1]! + part;
      if (below < first) first = below;
      if (below >= last) last = below + 1;
    } else counts[cells] = counts[cells]! + 1;
  }
  const kernel = Float64Array.from({ length: 2 * reach + 1 }, (_, i) => {
    const off = ((i - reach) * width) / bandwidth;
    return Math.exp(-0.5 * off * off) / (bandwidth * Math.sqrt(2 * Math.PI));
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

/** As `exactDensity` to 5e-4 of its peak, at the cost of the cells. */
export function binnedDensity(values: ArrayLike<number>, grid: EvenGrid, bandwidth: number): Float64Array {
  const binned = binSamples(values, grid, bandwidth);
  return binned.density(binned.weights, values.length);
}
