import { rgb } from 'd3-color';

/** 256 RGBA entries for values 0..1. */
export type ColourTable = Uint8ClampedArray<ArrayBuffer>;

/**
 * Opacity rises with the square root of the value, from `minAlpha` at the low end to 1 at the high end, so that medium
 * values stay visible. By default, the table is opaque.
 */
export function createColourTable(colourAt: (share: number) => string, minAlpha = 1): ColourTable {
  const table = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    const { r, g, b } = rgb(colourAt(i / 255));
    table.set([r, g, b, 255 * (minAlpha + (1 - minAlpha) * Math.sqrt(i / 255))], i * 4);
  }
  return table;
}

/** Like `createColourTable`, but opacity rises from `minAlpha` in the middle (0.5) to 1 at both ends. */
export function createDivergingTable(colourAt: (share: number) => string, minAlpha = 1): ColourTable {
  const table = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    const { r, g, b } = rgb(colourAt(i / 255));
    const distance = Math.abs(i / 255 - 0.5) * 2;
    table.set([r, g, b, 255 * (minAlpha + (1 - minAlpha) * Math.sqrt(distance))], i * 4);
  }
  return table;
}

/** The offset of a value's entry in the table; values outside the domain are clamped to it. */
export function colourOffset(value: number, [low, high]: readonly [number, number]): number {
  const share = high > low ? (value - low) / (high - low) : value >= high ? 1 : 0;
  return Math.round(Math.min(1, Math.max(0, share)) * 255) * 4;
}
