import { describe, expect, it } from 'vitest';
import { viewHref } from './page-view';

describe('the link to a view', () => {
  it('keeps the other parameters', () => {
    expect(viewHref('?tokens=2&colours=magma', 'compare')).toBe('?tokens=2&colours=magma&view=compare');
  });

  it('leaves out the default view', () => {
    expect(viewHref('?view=compare&tokens=2', 'explain')).toBe('?tokens=2');
  });
});
