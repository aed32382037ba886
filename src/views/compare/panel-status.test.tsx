import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { ReproductionWarning } from './panel-status';

describe('the check of the pass that was explained', () => {
  it('warns where it does not say what was streamed, with how far it is off', () => {
    const markup = renderToStaticMarkup(<ReproductionWarning check={{ isSame: false, largestDifference: 0.4567 }} />);
    expect(markup).toContain('does not say what was streamed');
    expect(markup).toContain('0.46');
  });

  it('says nothing where it does', () => {
    expect(renderToStaticMarkup(<ReproductionWarning check={{ isSame: true, largestDifference: 1e-6 }} />)).toBe('');
  });
});
