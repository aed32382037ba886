import { describe, expect, it } from 'vitest';
import { createRandom } from '../random';
import { answersLike } from './answers-like';

describe('answers like one', () => {
  it('are the nearest by value, found by sorting all distances', () => {
    const { unit } = createRandom(4);
    const sorted = Float64Array.from({ length: 500 }, unit).sort();
    const isRight = Uint8Array.from(sorted, () => (unit() < 0.7 ? 1 : 0));
    for (const at of [-1, 0.01, 0.5, 0.777, 2]) {
      const order = [...sorted.keys()]
        .sort((a, b) => Math.abs(sorted[a]! - at) - Math.abs(sorted[b]! - at))
        .slice(0, 80);
      const found = answersLike(sorted, isRight, at, 80)!;
      expect(found.share.n).toBe(80);
      expect(found.share.hits).toBe(order.reduce((sum, i) => sum + isRight[i]!, 0));
      expect(found.rank).toBe(sorted.filter((value) => value <= at).length / 500);
    }
  });

  it('take all that are as near as the last', () => {
    const found = answersLike(Float64Array.of(1, 1, 1, 1, 5), Uint8Array.of(1, 0, 1, 0, 1), 1, 2)!;
    expect(found.share).toMatchObject({ hits: 2, n: 4 });
    expect([found.from, found.to]).toEqual([1, 1]);
  });

  it('are none among none', () => {
    expect(answersLike(new Float64Array(), new Uint8Array(), 1, 10)).toBeUndefined();
  });
});
