import { Component, type ReactNode } from 'react';
import { PageFault } from './page-fault';

type Standing = { readonly phase: 'whole' } | { readonly phase: 'broken'; readonly error: unknown };

/** Runs and choices live above this, so that the page comes back with what it showed. */
export class ErrorBoundary extends Component<{ readonly children: ReactNode }, Standing> {
  override state: Standing = { phase: 'whole' };

  static getDerivedStateFromError(error: unknown): Standing {
    return { phase: 'broken', error };
  }

  override render(): ReactNode {
    if (this.state.phase === 'whole') return this.props.children;
    return <PageFault error={this.state.error} onRetry={() => this.setState({ phase: 'whole' })} />;
  }
}
