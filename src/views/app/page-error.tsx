import './page-error.css';

interface PageErrorProps {
  readonly error: unknown;
  onRetry(): void;
}

/** Replaces the page if rendering throws: says what is kept and how to continue, and shows the error to report. */
export function PageError({ error, onRetry }: PageErrorProps) {
  return (
    <main className="page-error">
      <div role="alert">
        <p className="eyebrow">Patchlight</p>
        <h1>This page could not be displayed.</h1>
        <p>
          Your answers are kept. Try to show the page again. If that fails, start over with the first example and the
          default settings.
        </p>
        <p className="page-error-actions">
          <button type="button" className="page-error-retry" onClick={onRetry}>
            Show the page again
          </button>
          <a className="link-button" href="./">
            Start over
          </a>
        </p>
        <p className="page-error-reason">
          What went wrong: <span className="mono">{String(error)}</span>
        </p>
      </div>
    </main>
  );
}
