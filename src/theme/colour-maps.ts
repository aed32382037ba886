import { interpolateCividis, interpolateGreys, interpolateMagma, interpolateViridis } from 'd3-scale-chromatic';

/** Perceptually ordered and safe for colour-blind readers; in each, brighter means more relevant. */
export const colourMaps = {
  cividis: { name: 'Cividis', colourAt: interpolateCividis },
  viridis: { name: 'Viridis', colourAt: interpolateViridis },
  magma: { name: 'Magma', colourAt: interpolateMagma },
  greys: { name: 'Greys', colourAt: (share: number) => interpolateGreys(1 - share) },
} as const;

export type ColourMapName = keyof typeof colourMaps;

export const colourMapNames = Object.keys(colourMaps) as ColourMapName[];
