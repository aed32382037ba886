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
