import { describe, expect, it } from 'vitest';
import { viewHref } from './page-view';

describe('the address of a view', () => {
  it('keeps what else the address says', () => {
    expect(viewHref('?tokens=2&colours=magma', 'compare')).toBe('?tokens=2&colours=magma&view=compare');
  });

  it('names no view where it is the one that opens without', () => {
    expect(viewHref('?view=compare&tokens=2', 'explain')).toBe('?tokens=2');
  });
});
