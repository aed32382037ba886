import { memo } from 'react';
import { Button, ProgressBar } from 'react-aria-components';
import { chooseTheme, type ThemeChoice, useTheme } from '../../state/theme-choice';
import { formatBytes } from '../../text/number-format';
import { useServices } from '../shared/services-context';
import { useSourceStatus } from '../shared/use-run';
import { PageNav } from './page-nav';
import './masthead.css';

export const Masthead = memo(function Masthead() {
  return (
    <header className="masthead">
      <div className="masthead-bar">
        <p className="wordmark">
          <Glyph />
          Patchlight
        </p>
        <PageNav />
        <ModelStatus />
        <ThemeButton />
      </div>
    </header>
  );
});

/** A 3 × 3 patch grid with one patch lit. */
function Glyph() {
  return (
    <svg className="glyph" viewBox="0 0 11 11" aria-hidden="true">
      {[0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => (
        <rect
          key={i}
          x={(i % 3) * 4}
          y={Math.floor(i / 3) * 4}
          width={3}
          height={3}
          data-lit={i === 5 ? 'full' : i === 4 || i === 8 ? 'half' : undefined}
        />
      ))}
    </svg>
  );
}

const backends = { webgpu: 'WebGPU', wasm: 'WASM' } as const;

const restartNote =
  'Starting on several threads stalled in this browser, so maps are computed on one thread, which takes longer. Reload the page to try again.';

/** The same size in every phase, so that nothing moves when the model is ready. */
function ModelStatus() {
  const { source } = useServices();
  const status = useSourceStatus();
  const name = source.model?.name ?? 'The model';
  const isRemote = source.kind === 'companion';
  const className = isRemote ? 'status status-away' : 'status';
  switch (status.phase) {
    case 'idle':
      return <p className={className}>{isRemote ? 'Connecting to the companion' : 'Waiting to load the model'}</p>;
    case 'loading': {
      const { loadedBytes, totalBytes, what } = status;
      return (
        <ProgressBar
          className={className}
          aria-label="Loading the model"
          value={loadedBytes}
          maxValue={Math.max(1, totalBytes)}
        >
          <span className="status-line">
            <span className="status-what">Loading {what}</span>
            <span className="mono" data-volatile>
              {totalBytes > 0 && `${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)}`}
            </span>
          </span>
          <span className="status-bar">
            <span style={{ width: `${(100 * loadedBytes) / Math.max(1, totalBytes)}%` }} />
          </span>
        </ProgressBar>
      );
    }
    case 'ready':
      return (
        <p className={className} data-phase="ready" title={status.isRestarted ? restartNote : status.note}>
          <span className="status-line">
            <span className="status-what" title={name}>
              {isRemote ? name : `${name} is ready on this page`}
            </span>
            {isRemote && <span className="status-where">on the companion</span>}
            <span className="mono">
              {status.device ?? (status.backend && backends[status.backend])}
              {status.isRestarted && ', 1 thread'}
            </span>
          </span>
          <span className="status-bar" />
        </p>
      );
    case 'failed':
      return (
        <div className={className} data-phase="failed" role="alert">
          <span className="status-line">
            <span className="status-what">
              {isRemote ? 'Not connected to the companion' : 'The model could not be loaded'}
            </span>
            <button type="button" className="link-button" onClick={() => void source.load().catch(() => {})}>
              {isRemote ? 'Reconnect' : 'Try again'}
            </button>
          </span>
          <span className="status-bar" />
        </div>
      );
  }
}

const nextTheme = { system: 'dark', dark: 'light', light: 'system' } as const satisfies Record<
  ThemeChoice,
  ThemeChoice
>;
const themeNames = { system: 'Auto', dark: 'Dark', light: 'Light' } as const;

function ThemeButton() {
  const { theme } = useTheme();
  return (
    <Button
      className="theme-button"
      aria-label={`Theme: ${themeNames[theme]}`}
      onPress={() => chooseTheme(nextTheme[theme])}
    >
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6.25" fill="none" stroke="currentColor" strokeWidth="1.5" />
        <path d="M8 1.75a6.25 6.25 0 0 1 0 12.5Z" fill="currentColor" />
      </svg>
      <span>{themeNames[theme]}</span>
    </Button>
  );
}
