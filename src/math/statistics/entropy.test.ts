import fc from 'fast-check';
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

  it.each(['sum', 'kde'] as const)('%s of nearly constant, huge and denormal maps matches Python', (kind) => {
    fixture.extremes.maps.forEach((map, i) => {
      expect(entropyOf(kind, map)).toBeCloseTo(fixture.extremes[kind][i]!, 11);
    });
  });

  it('is between 0 and the entropy of a flat map for any scores, or NaN', () => {
    const score = fc.oneof(fc.double({ min: 0 }), fc.constantFrom(0, 5e-324, 1e-310, 1e308, 0.3, 0.3 + 2 ** -54));
    fc.assert(
      fc.property(fc.array(score, { maxLength: 30 }), (map) => {
        const isDefined = map.length > 0 && map.every(Number.isFinite);
        const max = Math.log(map.length) + 1e-9;
        const [sum, kde] = [sumNormalisedNats(map), kernelDensityNats(map)];
        if (isDefined && map.some((x) => x > 0)) expect(sum >= 0 && sum <= max).toBe(true);
        else expect(sum).toBeNaN();
        if (isDefined) expect(kde >= 0 && kde <= max).toBe(true);
        else expect(kde).toBeNaN();
      }),
    );
  });
});
