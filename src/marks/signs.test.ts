import { describe, expect, it } from 'vitest';
import { createDivergingTable } from './colour-table';
import { signPathData } from './signs';

describe('the signs of a difference', () => {
  it('are a plus above 0, a minus below and nothing near 0, centred in the patch', () => {
    const path = signPathData(Float32Array.of(0.5, 0.1, -0.1, -0.5), { rows: 2, cols: 2 }, 0.2);
    expect(path).toBe('M0.25 0.5h0.5M0.5 0.25v0.5M1.25 1.5h0.5');
  });
});

describe('a diverging table', () => {
  it('is most transparent in the middle and opaque at both ends', () => {
    const table = createDivergingTable((share) => `rgb(${Math.round(share * 255)}, 0, 0)`, 0.2);
    const alphaOf = (entry: number) => table[entry * 4 + 3]!;
    expect([alphaOf(0), alphaOf(255)]).toEqual([255, 255]);
    expect(alphaOf(127)).toBeLessThan(70);
    expect(alphaOf(64)).toBe(alphaOf(191));
  });
});
