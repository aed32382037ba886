import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { MissingMaps, ReproductionWarning } from './panel-status';

describe('the check of the pass that was explained', () => {
  it('warns where it does not reproduce the streamed answer, with how far it is off', () => {
    const markup = renderToStaticMarkup(<ReproductionWarning check={{ isSame: false, largestDifference: 0.4567 }} />);
    expect(markup).toContain('does not reproduce the streamed answer');
    expect(markup).toContain('0.46');
  });

  it('says nothing where it does', () => {
    expect(renderToStaticMarkup(<ReproductionWarning check={{ isSame: true, largestDifference: 1e-6 }} />)).toBe('');
  });
});

describe('a panel of several tokens', () => {
  it('says how many of them its map lacks, and nothing where it lacks none', () => {
    const markup = renderToStaticMarkup(<MissingMaps map={{ tokenIndices: [1, 2], missing: [3] }} />);
    expect(markup).toContain('1 token has no map; this one is for the other 2.');
    expect(renderToStaticMarkup(<MissingMaps map={{ tokenIndices: [1, 2], missing: [] }} />)).toBe('');
  });
});
