import { rgb } from 'd3-color';

/** 256 RGBA entries for values 0..1. */
export type ColourTable = Uint8ClampedArray<ArrayBuffer>;

/** `leastAlpha` is the opacity at the low end, rising to 1 at the high one (as the square root: middling patches must show): 1 makes the table opaque. */
export function createColourTable(colourAt: (share: number) => string, leastAlpha = 1): ColourTable {
  const table = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    const { r, g, b } = rgb(colourAt(i / 255));
    table.set([r, g, b, 255 * (leastAlpha + (1 - leastAlpha) * Math.sqrt(i / 255))], i * 4);
  }
  return table;
}

/** As `createColourTable`, with its low end in the middle: `leastAlpha` at 0.5, rising to 1 at both ends. */
export function createDivergingTable(colourAt: (share: number) => string, leastAlpha = 1): ColourTable {
  const table = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    const { r, g, b } = rgb(colourAt(i / 255));
    const distance = Math.abs(i / 255 - 0.5) * 2;
    table.set([r, g, b, 255 * (leastAlpha + (1 - leastAlpha) * Math.sqrt(distance))], i * 4);
  }
  return table;
}

/** Offset of a value's entry in the table; values outside of the domain take its nearest end. */
export function colourOffset(value: number, [low, high]: readonly [number, number]): number {
  const share = high > low ? (value - low) / (high - low) : value >= high ? 1 : 0;
  return Math.round(Math.min(1, Math.max(0, share)) * 255) * 4;
}
