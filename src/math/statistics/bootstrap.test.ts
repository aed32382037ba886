import { describe, expect, it } from 'vitest';
import { createRandom } from '../random';
import { bootstrapBands } from './bootstrap';
import fixture from './fixtures/calibration.json';
import { exactDensity, gridPoints, scottBandwidth } from './kernel-density';
import { drawnOneByOne, percentile } from './resample';

const { right, bands, density: grid } = fixture;
const bandwidth = scottBandwidth(right);
const peak = Math.max(...bands.density);

/** Every resample's values smoothed one by one. */
function plainBands(values: readonly number[], resamples: number, seed: number) {
  const sorted = Float64Array.from(values).sort();
  const { unit } = createRandom(seed);
  const found = Array.from({ length: resamples }, () => {
    const drawn = sorted.map(() => sorted[Math.floor(unit() * sorted.length)]!);
    return exactDensity(drawn, grid, bandwidth);
  });
  const at = (point: number, share: number) =>
    percentile(
      Float64Array.from(found, (density) => density[point]!),
      share,
    );
  const points = Array.from({ length: grid.points }, (_, point) => point);
  return { low: points.map((point) => at(point, 0.025)), high: points.map((point) => at(point, 0.975)) };
}

const worst = (found: Float64Array, wanted: readonly number[]) =>
  found.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0);

describe('bootstrap bands', () => {
  it('are the plain bootstrap’s for the same draws, but for the cells: within 0.5 % of the peak', () => {
    const found = bootstrapBands(right, grid, bandwidth, { resamples: 200, seed: 5 });
    const plain = plainBands(right, 200, 5);
    expect(worst(found.low, plain.low)).toBeLessThan(0.005 * peak);
    expect(worst(found.high, plain.high)).toBeLessThan(0.005 * peak);
  });

  it('are NumPy’s, as far as a 2.5 % point of 4000 resamples is known: within 1.5 % of the peak', () => {
    const found = bootstrapBands(right, grid, bandwidth, { resamples: 4000, seed: 1 });
    expect(worst(found.density, bands.density)).toBeLessThan(5e-4 * peak);
    expect(worst(found.low, bands.low)).toBeLessThan(0.015 * peak);
    expect(worst(found.high, bands.high)).toBeLessThan(0.015 * peak);
  });

  it('are the same for the same seed, and others for another', () => {
    const options = { resamples: 50, seed: 3 };
    expect(bootstrapBands(right, grid, bandwidth, options)).toEqual(bootstrapBands(right, grid, bandwidth, options));
    expect(bootstrapBands(right, grid, bandwidth, { ...options, seed: 4 }).low).not.toEqual(
      bootstrapBands(right, grid, bandwidth, options).low,
    );
  });

  it('of many values, drawn by cells, are as wide as the density’s standard error', () => {
    const { unit } = createRandom(9);
    const values = Float64Array.from({ length: drawnOneByOne + 20_000 }, () => unit() + unit());
    const wide = 0.1;
    const some = { from: 0.2, to: 1.8, points: 9 };
    const found = bootstrapBands(values, some, wide, { resamples: 2000, seed: 1 });
    gridPoints(some).forEach((point, i) => {
      const kernels = values.map((x) => Math.exp(-0.5 * ((x - point) / wide) ** 2) / (wide * Math.sqrt(2 * Math.PI)));
      const mean = kernels.reduce((sum, k) => sum + k, 0) / values.length;
      const variance = kernels.reduce((sum, k) => sum + (k - mean) ** 2, 0) / values.length;
      const half = 1.96 * Math.sqrt(variance / values.length);
      // A 95 % interval of 2000 resamples is known to some 4 % of its width.
      expect((found.high[i]! - found.low[i]!) / 2 / half).toBeGreaterThan(0.9);
      expect((found.high[i]! - found.low[i]!) / 2 / half).toBeLessThan(1.1);
    });
  });
});
