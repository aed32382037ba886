import { describe, expect, it } from 'vitest';
import { colourMaps } from '../theme/colour-maps';
import { createColourTable } from './colour-table';
import { paintPixels } from './heatmap';

const table = createColourTable((share) => `rgb(${Math.round(share * 255)}, 0, 0)`);
const reds = (values: number[], domain: [number, number]) => {
  const pixels = new Uint8ClampedArray(values.length * 4);
  paintPixels(pixels, Float32Array.from(values), domain, table);
  return values.map((_, i) => pixels[i * 4]);
};

describe('the heat map', () => {
  it('maps the fixed range 0..1 to the table', () => {
    expect(reds([0, 0.2, 1], [0, 1])).toEqual([0, 51, 255]);
  });

  it("maps one map's own range to the table", () => {
    expect(reds([0.5, 0.6, 0.7], [0.5, 0.7])).toEqual([0, 128, 255]);
  });

  it('clamps values outside the range and handles a constant map', () => {
    expect(reds([-1, 2], [0, 1])).toEqual([0, 255]);
    expect(reds([0.5, 0.5], [0.5, 0.5])).toEqual([255, 255]);
  });

  it('is brighter for more relevant patches in every colour map', () => {
    for (const { colourAt } of Object.values(colourMaps)) {
      const ramp = createColourTable(colourAt);
      const luma = (i: number) => 0.2126 * ramp[i * 4]! + 0.7152 * ramp[i * 4 + 1]! + 0.0722 * ramp[i * 4 + 2]!;
      const steps = [0, 51, 102, 153, 204, 255].map(luma);
      expect(steps).toEqual([...steps].sort((a, b) => a - b));
    }
  });
});
