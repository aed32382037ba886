import { describe, expect, it } from 'vitest';
import fixture from './fixtures/calibration.json';
import { poolAnswers, poolings, poolTokens } from './pooling';

const numbers = (values: readonly (number | null)[]) => values.map((value) => value ?? Number.NaN);

describe('pooling', () => {
  it.each(fixture.poolings)('of $values with content $isContent matches Python', ({ values, isContent, pooled }) => {
    for (const pooling of poolings) {
      const actual = poolTokens(numbers(values), isContent ?? undefined, pooling);
      const expected = pooled[pooling];
      if (expected === null) expect(actual).toBeNaN();
      else expect(actual).toBeCloseTo(expected, 14);
    }
  });

  it('pools the tokens of each answer separately', () => {
    const values = Float32Array.of(1, 3, 5, 7, 2);
    const starts = Uint32Array.of(0, 2, 2, 5);
    const isContent = Uint8Array.of(0, 1, 0, 0, 1);
    expect([...poolAnswers(values, starts, isContent, 'content-mean')]).toEqual([3, Number.NaN, 2]);
    expect([...poolAnswers(values, starts, isContent, 'max')]).toEqual([3, Number.NaN, 7]);
  });

  it('is at -Infinity if a token is, and does not overflow otherwise', () => {
    expect(poolTokens([-1, -Infinity, Number.NaN], undefined, 'mean')).toBe(-Infinity);
    expect(poolTokens([-1, -Infinity, -3], [true, false, true], 'content-mean')).toBe(-2);
    expect(poolTokens([1.7e308, 1.7e308, Number.NaN], undefined, 'mean') / 1.7e308).toBeCloseTo(1, 12);
  });
});
