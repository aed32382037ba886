import { expect, test } from 'vitest';
import { placePiece } from './answer-text';

test('joins pieces into the answer and counts words', () => {
  const pieces = ['There', 'are', 'two', 'metal', '##lic', 'cube', '##s', ',', 'and', 'no', 'sphere', '.'];
  const placed = pieces.map((piece, i) => placePiece(piece, i === 0));
  expect(placed.map(({ text }) => text).join('')).toBe('There are two metallic cubes, and no sphere.');
  expect(placed.filter(({ startsWord }) => startsWord)).toHaveLength(10);
});
