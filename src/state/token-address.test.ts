import { describe, expect, it } from 'vitest';
import { formatSelection, parseSelection, selectionInAddress } from './token-address';
import type { TokenSelection } from './token-selection';

const picked = (...indices: number[]): TokenSelection => ({ kind: 'picked', indices, anchor: indices[0] ?? 0 });

describe('tokens in the URL', () => {
  it.each([
    [picked(1), '2'],
    [picked(1, 2, 3), '2-4'],
    [picked(0, 2, 3, 4, 8), '1,3-5,9'],
    [{ kind: 'answer' } as const, 'all'],
  ])('come back as they were picked: %j is %s', (selection, text) => {
    expect(formatSelection(selection)).toBe(text);
    expect(parseSelection(text, 9)).toEqual(selection);
  });

  it('are left out until something is picked', () => {
    expect(formatSelection({ kind: 'auto' })).toBeUndefined();
    expect(selectionInAddress('?run=run-1.run', 9)).toBeUndefined();
  });

  it('are read from among other parameters', () => {
    expect(selectionInAddress('?run=run-1.run&tokens=2-3', 9)).toEqual(picked(1, 2));
    expect(selectionInAddress('?tokens=1%2C3', 9)).toEqual(picked(0, 2));
  });

  it.each(['0', '10', '2-10', '4-2', '1,,2', '', 'red', '-1', '2-', '1e3', '99999999999'])(
    'are ignored if an answer of nine tokens does not have them: %s',
    (text) => {
      expect(parseSelection(text, 9)).toBeUndefined();
    },
  );
});
