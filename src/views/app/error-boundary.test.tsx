import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it } from 'vitest';
import { ErrorBoundary } from './error-boundary';
import { PageFault } from './page-fault';

describe('the error boundary', () => {
  it('draws the page while nothing has thrown', () => {
    expect(renderToStaticMarkup(<ErrorBoundary>whole</ErrorBoundary>)).toBe('whole');
  });

  it('keeps what was thrown, whatever it is', () => {
    const error = new RangeError('canvas too large');
    expect(ErrorBoundary.getDerivedStateFromError(error)).toEqual({ phase: 'broken', error });
    expect(ErrorBoundary.getDerivedStateFromError(undefined)).toEqual({ phase: 'broken', error: undefined });
  });

  it.each([
    [new RangeError('canvas too large'), 'RangeError: canvas too large'],
    ['out of memory', 'out of memory'],
    [undefined, 'undefined'],
  ])('says what went wrong and what to do: %s', (error, reason) => {
    const markup = renderToStaticMarkup(<PageFault error={error} onRetry={() => {}} />);
    expect(markup).toContain(reason);
    expect(markup).toContain('Show the page again');
    expect(markup).toContain('href="./"');
  });
});
