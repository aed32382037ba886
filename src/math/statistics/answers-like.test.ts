import { describe, expect, it } from 'vitest';
import { createRandom } from '../random';
import { answersLike } from './answers-like';

describe('answers like this one', () => {
  it('are the nearest by value, compared with sorting all distances', () => {
    const { unit } = createRandom(4);
    const sorted = Float64Array.from({ length: 500 }, unit).sort();
    const isRight = Uint8Array.from(sorted, () => (unit() < 0.7 ? 1 : 0));
    for (const at of [-1, 0.01, 0.5, 0.777, 2]) {
      const order = [...sorted.keys()]
        .sort((a, b) => Math.abs(sorted[a]! - at) - Math.abs(sorted[b]! - at))
        .slice(0, 80);
      const actual = answersLike(sorted, isRight, at, 80)!;
      expect(actual.share.n).toBe(80);
      expect(actual.share.hits).toBe(order.reduce((sum, i) => sum + isRight[i]!, 0));
      expect(actual.rank).toBe(sorted.filter((value) => value <= at).length / 500);
    }
  });

  it('include all answers as near as the last one', () => {
    const actual = answersLike(Float64Array.of(1, 1, 1, 1, 5), Uint8Array.of(1, 0, 1, 0, 1), 1, 2)!;
    expect(actual.share).toMatchObject({ hits: 2, n: 4 });
    expect([actual.from, actual.to]).toEqual([1, 1]);
  });

  it('are undefined if there are no answers', () => {
    expect(answersLike(new Float64Array(), new Uint8Array(), 1, 10)).toBeUndefined();
  });

  it('at an infinite value are the answers with that value only', () => {
    const sorted = Float64Array.of(-Infinity, -Infinity, -3, -2, -1, Infinity);
    const isRight = Uint8Array.of(0, 1, 0, 1, 1, 0);
    const low = answersLike(sorted, isRight, -Infinity, 4)!;
    expect(low.share).toMatchObject({ hits: 1, n: 2 });
    expect([low.from, low.to, low.rank]).toEqual([-Infinity, -Infinity, 2 / 6]);
    const finite = answersLike(sorted, isRight, -2, 5)!;
    expect([finite.from, finite.to, finite.share.n]).toEqual([-3, -1, 3]);
    expect(answersLike(sorted.subarray(2, 5), isRight, -Infinity, 4)).toBeUndefined();
  });
});
