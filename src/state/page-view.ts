import { parseAsStringLiteral, useQueryState } from 'nuqs';

/** In navigation order; a URL without a view opens the first. */
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

/** The link to a view; keeps all other parameters of `search`. */
export function viewHref(search: string, view: PageViewId): string {
  const params = new URLSearchParams(search);
  if (view === pageViews[0].id) params.delete(key);
  else params.set(key, view);
  return `?${params}`;
}
