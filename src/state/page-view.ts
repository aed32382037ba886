import { parseAsStringLiteral, useQueryState } from 'nuqs';

/** In the order of the navigation; the first is what an address without a view opens. */
export const pageViews = [
  { id: 'explain', name: 'Explain' },
  { id: 'compare', name: 'Compare' },
  { id: 'trust', name: 'Trust' },
] as const;

export type PageViewId = (typeof pageViews)[number]['id'];

const key = 'view';
const parser = parseAsStringLiteral(pageViews.map(({ id }) => id))
  .withDefault(pageViews[0].id)
  .withOptions({ history: 'push' });

export function usePageView(): [PageViewId, (view: PageViewId) => void] {
  const [view, setView] = useQueryState(key, parser);
  return [view, setView];
}

/** The address of a view with all else that `search` says, for a link. */
export function viewHref(search: string, view: PageViewId): string {
  const wanted = new URLSearchParams(search);
  if (view === pageViews[0].id) wanted.delete(key);
  else wanted.set(key, view);
  return `?${wanted}`;
}
