import { describe, expect, it } from 'vitest';
import { type Corner, outlinePathData, traceOutline } from './threshold-outline';

function gridOf(...lines: string[]) {
  const cells = lines.join('');
  return {
    values: Float32Array.from(cells, (cell) => (cell === '#' ? 0.8 : 0.1)),
    grid: { rows: lines.length, cols: lines[0]!.length },
  };
}

const trace = (...lines: string[]) => {
  const { values, grid } = gridOf(...lines);
  return traceOutline(values, grid, 0.5);
};

/** Shoelace, positive for clockwise on screen (y down). */
const area = (loop: readonly Corner[]) =>
  loop.reduce((sum, [x, y], i) => {
    const [nextX, nextY] = loop[(i + 1) % loop.length]!;
    return sum + (x * nextY - nextX * y) / 2;
  }, 0);

describe('the outline of the patches at or above a threshold', () => {
  it('is nothing where no patch reaches it', () => {
    expect(trace('...', '...')).toEqual([]);
  });

  it('is one square around one patch', () => {
    expect(trace('...', '.#.', '...')).toEqual([
      [
        [1, 1],
        [2, 1],
        [2, 2],
        [1, 2],
      ],
    ]);
  });

  it('has no corner along a straight side, wherever it starts', () => {
    expect(trace('###', '###')).toEqual([
      [
        [0, 0],
        [3, 0],
        [3, 2],
        [0, 2],
      ],
    ]);
    for (const loop of trace('.#.', '###', '.#.')) expect(loop).toHaveLength(12);
  });

  it('keeps patches apart that touch in a corner only', () => {
    expect(trace('#.', '.#').map(area)).toEqual([1, 1]);
    expect(trace('.#', '#.').map(area)).toEqual([1, 1]);
  });

  it('runs around a hole the other way', () => {
    expect(
      trace('###', '#.#', '###')
        .map(area)
        .sort((a, b) => a - b),
    ).toEqual([-1, 9]);
  });

  it('encloses exactly as many patches as are above, on random maps', () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 16807) % 2147483647;
      return seed / 2147483647;
    };
    for (let trial = 0; trial < 50; trial++) {
      const values = Float32Array.from({ length: 24 * 24 }, random);
      const loops = traceOutline(values, { rows: 24, cols: 24 }, 0.5);
      const enclosed = loops.reduce((sum, loop) => sum + area(loop), 0);
      expect(enclosed).toBe(values.filter((value) => value >= 0.5).length);
    }
  });

  it('is written as closed SVG paths', () => {
    expect(outlinePathData(trace('#'))).toBe('M0 0L1 0L1 1L0 1Z');
  });
});
