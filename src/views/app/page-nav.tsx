import { pageViews, usePageView, viewHref } from '../../state/page-view';
import './page-nav.css';

/** The views are links, so each can be opened in a new tab; a plain click switches views in place. */
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
