import { drawPoisson, type Random } from '../random';

/** Draws bootstrap resamples of values that were sorted into cells. */
export interface Resampler {
  /** Writes a resample's count of every cell; returns how many values it has. */
  draw(into: Float64Array, random: Random): number;
}

/**
 * Up to so many values, each is drawn by itself: exactly the bootstrap. Above, each cell's count is drawn from a Poisson
 * distribution instead, and the resample's size varies by its square root (the Poisson bootstrap): with so many values
 * the two cannot be told apart, and a million values cost no more than their cells.
 */
export const drawnOneByOne = 20_000;

export function createResampler(counts: ArrayLike<number>): Resampler {
  let total = 0;
  for (let cell = 0; cell < counts.length; cell++) total += counts[cell]!;
  if (total > drawnOneByOne) return { draw: (into, random) => drawCells(counts, into, random) };
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

/** Sorts `values`; linear between the two nearest ranks, as NumPy's default. */
export function percentile(values: Float64Array, share: number): number {
  values.sort();
  return sortedPercentile(values, share);
}

export function sortedPercentile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below]! + (sorted[above]! - sorted[below]!) * (place - below);
}
