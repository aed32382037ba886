import { Component, type ReactNode } from 'react';
import { PageError } from './page-error';

type BoundaryState = { readonly phase: 'ok' } | { readonly phase: 'broken'; readonly error: unknown };

/** Runs and choices are stored outside this boundary, so retrying restores the page as it was. */
export class ErrorBoundary extends Component<{ readonly children: ReactNode }, BoundaryState> {
  override state: BoundaryState = { phase: 'ok' };

  static getDerivedStateFromError(error: unknown): BoundaryState {
    return { phase: 'broken', error };
  }

  override render(): ReactNode {
    if (this.state.phase === 'ok') return this.props.children;
    return <PageError error={this.state.error} onRetry={() => this.setState({ phase: 'ok' })} />;
  }
}
