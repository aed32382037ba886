import '@fontsource-variable/inter/opsz.css';
import '@fontsource-variable/jetbrains-mono';
import '../../theme/tokens.css';
import '../../theme/base.css';
import '../../theme/forced-colours.css';
import { type QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { NuqsAdapter } from 'nuqs/adapters/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import type { Services } from '../../state/services';
import { restoreTheme } from '../../state/theme-choice';
import { ServicesProvider } from '../shared/services-context';
import { App } from './app';
import { ErrorBoundary } from './error-boundary';
import { watchStyles } from './failed-styles';

export function renderPage(element: HTMLElement, services: Services, queries: QueryClient): void {
  restoreTheme();
  watchStyles();
  createRoot(element).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <NuqsAdapter>
          <ServicesProvider value={services}>
            <ErrorBoundary>
              <App />
            </ErrorBoundary>
          </ServicesProvider>
        </NuqsAdapter>
      </QueryClientProvider>
    </StrictMode>,
  );
}
