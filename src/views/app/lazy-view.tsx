import { useQuery } from '@tanstack/react-query';
import type { ComponentType } from 'react';
import type { PageViewId } from '../../state/page-view';
import type { ShownRun } from '../shared/use-shown-run';
import { reloadFailedStyles } from './failed-styles';

interface ViewProps {
  readonly shown: ShownRun | undefined;
}

/**
 * A view that loads after the first paint. It loads as a query, so the idle signal waits for it and a failure can be
 * retried.
 */
export function LazyView(props: ViewProps & { readonly name: PageViewId; load(): Promise<ComponentType<ViewProps>> }) {
  const { name, load, shown } = props;
  const view = useQuery({
    queryKey: ['view', name],
    queryFn: async () => {
      await reloadFailedStyles();
      return { View: await load() };
    },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
    retry: false,
  });
  if (view.data) return <view.data.View shown={shown} />;
  return (
    <main className="view-waiting">
      {view.error && (
        <p role="alert">
          This part of the page could not be loaded ({view.error.message}).{' '}
          <button type="button" className="link-button" onClick={() => void view.refetch()}>
            Try again
          </button>{' '}
          or{' '}
          <button type="button" className="link-button" onClick={() => location.reload()}>
            reload the page
          </button>
          .
        </p>
      )}
    </main>
  );
}
