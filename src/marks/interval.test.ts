import { expect, it } from 'vitest';
import { intervalsPathData } from './interval';

it('intervals are upright lines with a cap at each end', () => {
  const y = (value: number) => 100 - 100 * value;
  expect(intervalsPathData([{ atPx: 10, low: 0.2, high: 0.5 }], y)).toBe('M7.5 80h5M10 80V50M7.5 50h5');
  expect(intervalsPathData([], y)).toBe('');
});
