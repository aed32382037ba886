import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { MissingMaps, ReproductionWarning } from './method-progress';

describe('the reproduction warning', () => {
  it('shows the largest difference if the explained pass does not reproduce the streamed answer', () => {
    const markup = renderToStaticMarkup(<ReproductionWarning check={{ isSame: false, largestDifference: 0.4567 }} />);
    expect(markup).toContain('does not reproduce the streamed answer');
    expect(markup).toContain('0.46');
  });

  it('is empty if the pass reproduces the answer', () => {
    expect(renderToStaticMarkup(<ReproductionWarning check={{ isSame: true, largestDifference: 1e-6 }} />)).toBe('');
  });
});

describe('the note on missing maps', () => {
  it('counts the tokens without a map, and is empty if there are none', () => {
    const markup = renderToStaticMarkup(<MissingMaps map={{ tokenIndices: [1, 2], missing: [3] }} />);
    expect(markup).toContain('1 token has no map; this map covers the other 2.');
    expect(renderToStaticMarkup(<MissingMaps map={{ tokenIndices: [1, 2], missing: [] }} />)).toBe('');
  });
});
