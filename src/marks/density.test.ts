import { scaleLinear } from 'd3-scale';
import { describe, expect, it } from 'vitest';
import { densityPaths, maxDensity, valueAt } from './density';

const x = scaleLinear([0, 2], [0, 200]);
const y = scaleLinear([0, 1], [100, 0]);
const xs = [0, 1, 2];

describe('the density', () => {
  it('is drawn as a line, and its band as an area', () => {
    const { line, band } = densityPaths(
      { xs, density: [0, 1, 0], band: { low: [0, 0.8, 0], high: [0.1, 1, 0.1] } },
      x,
      y,
    );
    expect(line).toBe('M0,100L100,0L200,100');
    expect(band).toBe('M0,90L100,0L200,90L200,100L100,20L0,100Z');
  });

  it('has an empty band path without a band, and empty paths without points', () => {
    expect(densityPaths({ xs, density: [0, 1, 0] }, x, y).band).toBe('');
    expect(densityPaths({ xs: [], density: [] }, x, y)).toEqual({ line: '', band: '' });
  });

  it('has a maximum that includes its band', () => {
    expect(maxDensity([{ xs, density: [0, 1, 0], band: { low: [0, 0, 0], high: [0, 1.5, 0] } }])).toBe(1.5);
    expect(maxDensity([])).toBe(0);
  });

  it('is interpolated between its points and 0 outside them', () => {
    expect(valueAt(xs, [0, 1, 0], 0.25)).toBeCloseTo(0.25);
    expect(valueAt(xs, [0, 1, 0.5], 2)).toBe(0.5);
    expect(valueAt(xs, [1, 1, 1], 2.01)).toBe(0);
    expect(valueAt([], [], 1)).toBe(0);
  });
});
