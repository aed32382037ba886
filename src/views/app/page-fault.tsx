import './page-fault.css';

interface PageFaultProps {
  readonly error: unknown;
  onRetry(): void;
}

/** In the page's place when drawing it threw: what is kept, the two ways on, and the reason for a report. */
export function PageFault({ error, onRetry }: PageFaultProps) {
  return (
    <main className="fault">
      <div role="alert">
        <p className="eyebrow">Patchlight</p>
        <h1>The page could not be drawn.</h1>
        <p>
          Your answers are kept. Show the page again; if it breaks once more, start over with the first example and the
          settings it came with. Starting over loses the answers of this visit.
        </p>
        <p className="fault-actions">
          <button type="button" className="fault-retry" onClick={onRetry}>
            Show the page again
          </button>
          <a className="link-button" href="./">
            Start over
          </a>
        </p>
        <p className="fault-reason">
          What went wrong: <span className="mono">{reasonOf(error)}</span>
        </p>
      </div>
    </main>
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
