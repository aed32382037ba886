import { interpolatePuOr } from 'd3-scale-chromatic';

/** For -1..1 as a share 0..1: purple below, orange above, white in the middle; told apart by colour-blind eyes. */
export function divergingColourAt(share: number): string {
  return interpolatePuOr(share);
}

/** Of the two ends, in words. */
export const divergingNames = { negative: 'purple', positive: 'orange' } as const;
