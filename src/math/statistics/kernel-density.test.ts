import { describe, expect, it } from 'vitest';
import { createRandom } from '../random';
import fixture from './fixtures/calibration.json';
import { binnedDensity, exactDensity, gridPoints, scottBandwidth } from './kernel-density';

const { right, density } = fixture;

/** Values with two peaks of different sizes, made from uniform noise. */
function humps(n: number, seed: number): Float64Array {
  const { unit } = createRandom(seed);
  const bell = () => unit() + unit() + unit() - 1.5;
  return Float64Array.from({ length: n }, () => (unit() < 0.3 ? 2 + 0.4 * bell() : 5 + bell()));
}

function largestDifference(actual: Float64Array, expected: Float64Array): number {
  return actual.reduce((max, value, i) => Math.max(max, Math.abs(value - expected[i]!)), 0);
}

describe('kernel densities', () => {
  it('match SciPy’s bandwidth and values', () => {
    expect(scottBandwidth(right)).toBeCloseTo(density.bandwidth, 12);
    const actual = exactDensity(right, density, density.bandwidth);
    density.right.forEach((expected, i) => {
      expect(actual[i]).toBeCloseTo(expected, 11);
    });
  });

  it.each([0.2, 1, 5])('differ by less than 5e-4 of the peak if binned, at %s times Scott’s bandwidth', (factor) => {
    const values = humps(4000, 1);
    const grid = { from: 0, to: 7, points: 256 };
    const bandwidth = scottBandwidth(values) * factor;
    const exact = exactDensity(values, grid, bandwidth);
    const peak = Math.max(...exact);
    expect(largestDifference(binnedDensity(values, grid, bandwidth), exact)).toBeLessThan(5e-4 * peak);
  });

  it('include values outside the grid within reach of the kernel', () => {
    const values = humps(1000, 2);
    const grid = { from: 4.5, to: 5, points: 11 };
    const exact = exactDensity(values, grid, 0.3);
    expect(largestDifference(binnedDensity(values, grid, 0.3), exact)).toBeLessThan(5e-4 * Math.max(...exact));
  });

  it('integrate to one', () => {
    const grid = { from: -5, to: 12, points: 512 };
    const actual = binnedDensity(humps(500, 3), grid, 0.5);
    const step = gridPoints(grid)[1]! - gridPoints(grid)[0]!;
    expect(actual.reduce((sum, value) => sum + value * step, 0)).toBeCloseTo(1, 4);
  });

  it('have no bandwidth for equal values or a single one', () => {
    expect(scottBandwidth(new Float64Array(40).fill(0.1 + 0.2))).toBeNaN();
    expect(scottBandwidth([3])).toBeNaN();
    expect(scottBandwidth([])).toBeNaN();
  });

  it.each(fixture.extremes.samples)('have Python’s bandwidth, $bandwidth, for extreme values', (sample) => {
    const actual = scottBandwidth(sample.values.map(Number));
    if (sample.bandwidth === null) expect(actual).toBeNaN();
    else expect(actual / sample.bandwidth).toBeCloseTo(1, 12);
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
