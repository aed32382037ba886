import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { ErrorBoundary } from './error-boundary';
import { PageError } from './page-error';

describe('the error boundary', () => {
  it('renders its children if nothing has thrown', () => {
    expect(renderToStaticMarkup(<ErrorBoundary>page</ErrorBoundary>)).toBe('page');
  });

  it('keeps any thrown value', () => {
    const error = new RangeError('canvas too large');
    expect(ErrorBoundary.getDerivedStateFromError(error)).toEqual({ phase: 'broken', error });
    expect(ErrorBoundary.getDerivedStateFromError(undefined)).toEqual({ phase: 'broken', error: undefined });
  });

  it.each([
    [new RangeError('canvas too large'), 'RangeError: canvas too large'],
    ['out of memory', 'out of memory'],
    [undefined, 'undefined'],
  ])('shows the reason and what to do: %s', (error, reason) => {
    const markup = renderToStaticMarkup(<PageError error={error} onRetry={() => {}} />);
    expect(markup).toContain(reason);
    expect(markup).toContain('Show the page again');
    expect(markup).toContain('href="./"');
  });
});
