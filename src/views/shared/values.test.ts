import { expect, it } from 'vitest';
import { formatInScale } from './values';

it.each([
  [1, 'above all others'],
  [574 / 575, 'above 99.8 %'],
  [0.9999, 'above 99.9 %'],
  [0.5, 'above 50 %'],
  [1 / 575, 'above 0.2 %'],
  [0, 'above no other'],
])('a rank of %f reads "%s"', (share, text) => {
  expect(formatInScale('rank', 'fastrm', share)).toBe(text);
});
