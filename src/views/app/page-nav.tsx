import { pageViews, usePageView, viewHref } from '../../state/page-view';
import './page-nav.css';

/** The page's views. Links, so that one can be opened beside the other; a plain click changes the view in place. */
export function PageNav() {
  const [current, setView] = usePageView();
  return (
    <nav className="page-nav" aria-label="Views">
      {pageViews.map(({ id, name }) => (
        <a
          key={id}
          href={viewHref(location.search, id)}
          aria-current={id === current ? 'page' : undefined}
          onClick={(event) => {
            if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
            event.preventDefault();
            setView(id);
          }}
        >
          {name}
        </a>
      ))}
    </nav>
  );
}
