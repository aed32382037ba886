import { describe, expect, it } from 'vitest';
import { layOutCostChart, mediansByTokens, spread } from './cost-chart';

const size = { widthPx: 400, heightPx: 200, margin: { top: 10, right: 100, bottom: 30, left: 40 } };

describe('the cost chart', () => {
  it('has logarithmic axes', () => {
    const chart = layOutCostChart(
      [
        {
          name: 'a',
          points: [
            { tokens: 1, ms: 10 },
            { tokens: 10, ms: 100 },
            { tokens: 100, ms: 1000 },
          ],
        },
      ],
      size,
    );
    const [first, second, third] = chart!.series[0]!.points;
    expect(second!.xPx - first!.xPx).toBeCloseTo(third!.xPx - second!.xPx, 9);
    expect(second!.yPx - first!.yPx).toBeCloseTo(third!.yPx - second!.yPx, 9);
    expect([first!.xPx, third!.xPx, first!.yPx, third!.yPx]).toEqual([40, 300, 170, 10]);
    expect(chart!.xTicks.map(({ value }) => value)).toEqual([1, 10, 100]);
    expect(chart!.yTicks.map(({ value }) => value)).toEqual([10, 100, 1000]);
  });

  it('has axes for a single point, even one of 0 ms', () => {
    const chart = layOutCostChart([{ name: 'a', points: [{ tokens: 1, ms: 0 }] }], size);
    const [point] = chart!.series[0]!.points;
    expect([point!.xPx, point!.yPx]).toEqual([40, 170]);
    expect(chart!.xTicks.map(({ value }) => value)).toEqual([1, 10]);
    expect(chart!.yTicks.map(({ value }) => value)).toEqual([0.01, 0.1]);
  });

  it('is undefined if nothing was measured', () => {
    expect(layOutCostChart([{ name: 'a', points: [] }], size)).toBeUndefined();
  });

  it('keeps labels from overlapping', () => {
    const points = [{ tokens: 10, ms: 50 }];
    const chart = layOutCostChart(
      ['a', 'b', 'c'].map((name) => ({ name, points })),
      size,
    );
    const at = chart!.series.map(({ label }) => label.yPx).sort((a, b) => a - b);
    for (const [i, y] of at.entries()) if (i > 0) expect(y - at[i - 1]!).toBeGreaterThanOrEqual(15);
  });
});

describe('median costs', () => {
  it('are computed per number of tokens, in ascending order', () => {
    const points = [
      { tokens: 5, ms: 30 },
      { tokens: 1, ms: 4 },
      { tokens: 1, ms: 2 },
      { tokens: 5, ms: 10 },
      { tokens: 5, ms: 20 },
    ];
    expect(mediansByTokens(points)).toEqual([
      { tokens: 1, ms: 3 },
      { tokens: 5, ms: 20 },
    ]);
  });
});

describe('spread', () => {
  it('moves only positions that are too close, within the bounds', () => {
    expect(spread([10, 50, 52], 10, { min: 0, max: 100 })).toEqual([10, 50, 60]);
    expect(spread([98, 99], 10, { min: 0, max: 100 })).toEqual([90, 100]);
  });
});
