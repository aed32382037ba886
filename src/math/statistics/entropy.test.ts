import { describe, expect, it } from 'vitest';
import { bernoulliNats, entropyKinds, entropyOf, kernelDensityNats, sumNormalisedNats } from './entropy';
import fixture from './fixtures/calibration.json';

describe('entropies of maps', () => {
  it.each(entropyKinds)('%s is what Python finds', (kind) => {
    fixture.entropies.maps.forEach((map, i) => {
      const wanted = fixture.entropies[kind][i];
      // Double precision on both sides; sums of 48 terms in another order.
      if (typeof wanted === 'number') expect(entropyOf(kind, map)).toBeCloseTo(wanted, 11);
      else expect(entropyOf(kind, map)).toBeNaN();
    });
  });

  it('is largest for a flat map', () => {
    const flat = new Float32Array(576).fill(0.3);
    expect(sumNormalisedNats(flat)).toBeCloseTo(Math.log(576), 12);
    expect(kernelDensityNats(flat)).toBeCloseTo(Math.log(576), 12);
    expect(bernoulliNats(flat.fill(0.5))).toBeCloseTo(Math.LN2, 12);
  });

  it('is not defined for a map with a hole, nor the sum-normalised for a map of zeros', () => {
    for (const kind of entropyKinds) expect(entropyOf(kind, [0.1, Number.NaN, 0.3])).toBeNaN();
    expect(sumNormalisedNats([0, 0])).toBeNaN();
    expect(kernelDensityNats([0, 0])).toBe(Math.LN2);
  });
});
