import { expect, it } from 'vitest';
import { randomMap } from './random-map';

it('is the same for the same run and token, and another for any other', () => {
  expect(randomMap('a1', 3, 50)).toEqual(randomMap('a1', 3, 50));
  expect(randomMap('a1', 3, 50)).not.toEqual(randomMap('a1', 4, 50));
  expect(randomMap('a1', 3, 50)).not.toEqual(randomMap('a2', 3, 50));
});

it('is spread as the mean of five uniform numbers is', () => {
  const n = 200_000;
  const values = randomMap('spread', 0, n);
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n;
  // Mean 1/2, variance 1/60; five standard errors of each.
  expect(Math.abs(mean - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 60 / n));
  expect(Math.abs(variance - 1 / 60)).toBeLessThan(5 * (1 / 60) * Math.sqrt(2 / n));
  expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
});
