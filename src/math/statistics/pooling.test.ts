import { describe, expect, it } from 'vitest';
import fixture from './fixtures/calibration.json';
import { poolAnswers, poolings, poolTokens } from './pooling';

const numbers = (values: readonly (number | null)[]) => values.map((value) => value ?? Number.NaN);

describe('poolings', () => {
  it.each(fixture.poolings)('of $values with content $isContent are Python’s', ({ values, isContent, pooled }) => {
    for (const pooling of poolings) {
      const found = poolTokens(numbers(values), isContent ?? undefined, pooling);
      const wanted = pooled[pooling];
      if (wanted === null) expect(found).toBeNaN();
      else expect(found).toBeCloseTo(wanted, 14);
    }
  });

  it('take each answer’s own tokens', () => {
    const values = Float32Array.of(1, 3, 5, 7, 2);
    const starts = Uint32Array.of(0, 2, 2, 5);
    const isContent = Uint8Array.of(0, 1, 0, 0, 1);
    expect([...poolAnswers(values, starts, isContent, 'content-mean')]).toEqual([3, Number.NaN, 2]);
    expect([...poolAnswers(values, starts, isContent, 'max')]).toEqual([3, Number.NaN, 7]);
  });
});
