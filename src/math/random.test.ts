import { describe, expect, it } from 'vitest';
import { createRandom, drawPoisson } from './random';
import { createResampler } from './statistics/resample';

describe('seeded numbers', () => {
  it('are the same for the same seed', () => {
    const [a, b] = [createRandom(5), createRandom(5)];
    for (let i = 0; i < 20; i++) expect(a.unit()).toBe(b.unit());
  });

  it('fill 0..1 evenly', () => {
    const { unit } = createRandom(1);
    const counts = new Uint32Array(16);
    const n = 160_000;
    for (let i = 0; i < n; i++) {
      const bin = Math.floor(unit() * 16);
      counts[bin] = counts[bin]! + 1;
    }
    const chi2 = counts.reduce((sum, count) => sum + (count - n / 16) ** 2 / (n / 16), 0);
    // 99.99 % of chi-squared with 15 degrees of freedom.
    expect(chi2).toBeLessThan(44.3);
  });

  it.each([0.5, 4, 11, 13, 200])('have Poisson’s mean and variance at %s', (mean) => {
    const random = createRandom(3);
    const drawn = Array.from({ length: 40_000 }, () => drawPoisson(mean, random));
    const found = drawn.reduce((sum, x) => sum + x, 0) / drawn.length;
    const variance = drawn.reduce((sum, x) => sum + (x - found) ** 2, 0) / drawn.length;
    // Four standard errors.
    expect(Math.abs(found - mean)).toBeLessThan(4 * Math.sqrt(mean / drawn.length));
    expect(Math.abs(variance / mean - 1)).toBeLessThan(4 * Math.sqrt((2 + 1 / mean) / drawn.length));
  });

  it('resample as many values as there are, each as likely as the others', () => {
    const resampler = createResampler([3, 0, 1]);
    const into = new Float64Array(3);
    const random = createRandom(2);
    let first = 0;
    for (let i = 0; i < 4000; i++) {
      expect(resampler.draw(into, random)).toBe(4);
      expect(into[1]).toBe(0);
      expect(into[0]! + into[2]!).toBe(4);
      first += into[0]!;
    }
    expect(first / 4000).toBeCloseTo(3, 1);
  });
});
