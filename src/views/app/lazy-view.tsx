import { useQuery } from '@tanstack/react-query';
import type { ComponentType } from 'react';
import type { PageViewId } from '../../state/page-view';
import type { Bench } from '../shared/use-bench';

interface ViewProps {
  readonly bench: Bench | undefined;
}

/** A view that the first paint does without. As a query, so that the idle signal waits for it and a failure can be tried again. */
export function LazyView(props: ViewProps & { readonly name: PageViewId; load(): Promise<ComponentType<ViewProps>> }) {
  const { name, load, bench } = props;
  const view = useQuery({
    queryKey: ['view', name],
    queryFn: async () => ({ View: await load() }),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
    retry: false,
  });
  if (view.data) return <view.data.View bench={bench} />;
  return (
    <main className="view-waiting">
      {view.error && (
        <p role="alert">
          This part of the page did not load ({view.error.message}).{' '}
          <button type="button" className="link-button" onClick={() => void view.refetch()}>
            Try again
          </button>
        </p>
      )}
    </main>
  );
}
