import { expect, test } from 'vitest';
import { mostLikely } from './log-probabilities';

test('orders tokens by probability, in nats, without overflow', () => {
  const likely = mostLikely(Float32Array.of(1000, 1002, 1001, 990), 3);
  expect(likely.map(({ tokenId }) => tokenId)).toEqual([1, 2, 0]);
  const total = 1 + Math.exp(-1) + Math.exp(-2) + Math.exp(-12);
  expect(likely[0]!.logProb).toBeCloseTo(-Math.log(total), 10);
  expect(likely[2]!.logProb).toBeCloseTo(-2 - Math.log(total), 10);
});

test('orders ties by token id', () => {
  expect(mostLikely(Float32Array.of(1, 3, 3), 2).map(({ tokenId }) => tokenId)).toEqual([1, 2]);
});
