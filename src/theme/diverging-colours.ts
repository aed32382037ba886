import { interpolatePuOr } from 'd3-scale-chromatic';

/**
 * The colour for a value in -1..1, passed as a share in 0..1: from purple through white to orange. Safe for
 * colour-blind readers.
 */
export function divergingColourAt(share: number): string {
  return interpolatePuOr(share);
}

/** Names of the two end colours. */
export const divergingNames = { negative: 'purple', positive: 'orange' } as const;
