import { describe, expect, it } from 'vitest';
import { bernoulliNats, entropyKinds, entropyOf, kernelDensityNats, sumNormalisedNats } from './entropy';
import fixture from './fixtures/calibration.json';

describe('entropies of maps', () => {
  it.each(entropyKinds)('%s matches Python', (kind) => {
    fixture.entropies.maps.forEach((map, i) => {
      const expected = fixture.entropies[kind][i];
      // Both use float64 but sum 48 terms in different orders.
      if (typeof expected === 'number') expect(entropyOf(kind, map)).toBeCloseTo(expected, 11);
      else expect(entropyOf(kind, map)).toBeNaN();
    });
  });

  it('is largest for a flat map', () => {
    const flat = new Float32Array(576).fill(0.3);
    expect(sumNormalisedNats(flat)).toBeCloseTo(Math.log(576), 12);
    expect(kernelDensityNats(flat)).toBeCloseTo(Math.log(576), 12);
    expect(bernoulliNats(flat.fill(0.5))).toBeCloseTo(Math.LN2, 12);
  });

  it('is NaN for maps with NaN; the sum-normalised entropy also for a map of zeros', () => {
    for (const kind of entropyKinds) expect(entropyOf(kind, [0.1, Number.NaN, 0.3])).toBeNaN();
    expect(sumNormalisedNats([0, 0])).toBeNaN();
    expect(kernelDensityNats([0, 0])).toBe(Math.LN2);
  });
});
