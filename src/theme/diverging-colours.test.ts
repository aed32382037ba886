import { rgb } from 'd3-color';
import { describe, expect, it } from 'vitest';
import { divergingColourAt } from './diverging-colours';

describe('diverging colours', () => {
  it('match their names: purple below, orange above, near white in the middle', () => {
    const [below, middle, above] = [0.1, 0.5, 0.9].map((share) => rgb(divergingColourAt(share)));
    expect(below!.b).toBeGreaterThan(below!.g + 40);
    expect(above!.r).toBeGreaterThan(above!.b + 100);
    expect(Math.min(middle!.r, middle!.g, middle!.b)).toBeGreaterThan(230);
  });
});
