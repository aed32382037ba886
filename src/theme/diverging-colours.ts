import { interpolatePuOr } from 'd3-scale-chromatic';

/**
 * The colour, from purple through white to orange, for a value in -1..1; `share` is the value mapped to 0..1. Safe for
 * colour-blind readers.
 */
export function divergingColourAt(share: number): string {
  return interpolatePuOr(share);
}

/** Names of the two end colours. */
export const divergingNames = { negative: 'purple', positive: 'orange' } as const;
