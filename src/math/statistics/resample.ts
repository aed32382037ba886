import { drawPoisson, type Random } from '../random';

/** Draws bootstrap resamples of binned values. */
export interface Resampler {
  /** Writes the resample's count for each cell and returns its total number of values. */
  draw(into: Float64Array, random: Random): number;
}

/**
 * Up to this many values, each value is drawn individually (the exact bootstrap). Above this limit, each cell's count
 * is drawn from a Poisson distribution (the Poisson bootstrap): the size of a resample then varies by about its square
 * root, which is negligible for so many values, and the cost depends only on the number of cells.
 */
export const maxExactDraws = 20_000;

/** `all` is the number of values that are resampled together, if `counts` holds only some of them. */
export function createResampler(counts: ArrayLike<number>, all = 0): Resampler {
  let total = 0;
  for (let cell = 0; cell < counts.length; cell++) total += counts[cell]!;
  if (Math.max(total, all) > maxExactDraws) return { draw: (into, random) => drawCells(counts, into, random) };
  const cellOf = new Uint32Array(total);
  for (let cell = 0, next = 0; cell < counts.length; cell++) {
    cellOf.fill(cell, next, next + counts[cell]!);
    next += counts[cell]!;
  }
  return {
    draw(into, { unit }) {
      into.fill(0);
      for (let i = 0; i < total; i++) {
        const cell = cellOf[Math.floor(unit() * total)]!;
        into[cell] = into[cell]! + 1;
      }
      return total;
    },
  };
}

function drawCells(counts: ArrayLike<number>, into: Float64Array, random: Random): number {
  let drawn = 0;
  for (let cell = 0; cell < counts.length; cell++) {
    const count = counts[cell]! > 0 ? drawPoisson(counts[cell]!, random) : 0;
    into[cell] = count;
    drawn += count;
  }
  return drawn;
}

/** Sorts `values` in place. Interpolates linearly between the two nearest ranks, as NumPy does by default. */
export function percentile(values: Float64Array, share: number): number {
  values.sort();
  return sortedPercentile(values, share);
}

export function sortedPercentile(sorted: Float64Array, share: number): number {
  const position = share * (sorted.length - 1);
  const below = Math.floor(position);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below]! + (sorted[above]! - sorted[below]!) * (position - below);
}
