import { describe, expect, it } from 'vitest';
import { createRandom } from '../random';
import fixture from './fixtures/calibration.json';
import { binnedDensity, exactDensity, gridPoints, scottBandwidth } from './kernel-density';

const { right, density } = fixture;

/** Uniform noise, bent: two humps of unequal size. */
function humps(n: number, seed: number): Float64Array {
  const { unit } = createRandom(seed);
  const bell = () => unit() + unit() + unit() - 1.5;
  return Float64Array.from({ length: n }, () => (unit() < 0.3 ? 2 + 0.4 * bell() : 5 + bell()));
}

function largestDifference(found: Float64Array, wanted: Float64Array): number {
  return found.reduce((worst, value, i) => Math.max(worst, Math.abs(value - wanted[i]!)), 0);
}

describe('kernel densities', () => {
  it('have SciPy’s bandwidth and values', () => {
    expect(scottBandwidth(right)).toBeCloseTo(density.bandwidth, 12);
    const found = exactDensity(right, density, density.bandwidth);
    density.right.forEach((wanted, i) => {
      expect(found[i]).toBeCloseTo(wanted, 11);
    });
  });

  it.each([0.2, 1, 5])('binned are within 5e-4 of the exact peak at %s times Scott’s bandwidth', (factor) => {
    const values = humps(4000, 1);
    const grid = { from: 0, to: 7, points: 256 };
    const bandwidth = scottBandwidth(values) * factor;
    const exact = exactDensity(values, grid, bandwidth);
    const peak = Math.max(...exact);
    expect(largestDifference(binnedDensity(values, grid, bandwidth), exact)).toBeLessThan(5e-4 * peak);
  });

  it('count what lies outside of the grid, as far as the kernel reaches', () => {
    const values = humps(1000, 2);
    const grid = { from: 4.5, to: 5, points: 11 };
    const exact = exactDensity(values, grid, 0.3);
    expect(largestDifference(binnedDensity(values, grid, 0.3), exact)).toBeLessThan(5e-4 * Math.max(...exact));
  });

  it('integrate to one', () => {
    const grid = { from: -5, to: 12, points: 512 };
    const found = binnedDensity(humps(500, 3), grid, 0.5);
    const step = gridPoints(grid)[1]! - gridPoints(grid)[0]!;
    expect(found.reduce((sum, value) => sum + value * step, 0)).toBeCloseTo(1, 4);
  });

  it('have no bandwidth for equal values or one', () => {
    expect(scottBandwidth(new Float64Array(40).fill(0.1 + 0.2))).toBeNaN();
    expect(scottBandwidth([3])).toBeNaN();
    expect(scottBandwidth([])).toBeNaN();
  });

  it('reads each value once, however many points the grid has', () => {
    let reads = 0;
    const values = new Proxy(humps(1000, 4), {
      get(target, key) {
        if (typeof key === 'string' && /^\d+$/.test(key)) reads += 1;
        return Reflect.get(target, key, target);
      },
    });
    binnedDensity(values, { from: 0, to: 7, points: 256 }, 0.3);
    expect(reads).toBe(1000);
  });
});
