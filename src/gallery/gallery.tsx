import { type GalleryMark, galleryMarks } from './marks';
import type { SampleStatistics } from './sample-answers';
import './gallery.css';

type GalleryTheme = 'light' | 'dark';

interface GalleryProps {
  readonly statistics: SampleStatistics;
  /** Name of the mark to show; all are shown if undefined. */
  readonly mark: string | undefined;
  /** Follows the system if undefined. */
  readonly theme: GalleryTheme | undefined;
}

/** Draws the marks with fixed data. */
export function Gallery({ statistics, mark, theme }: GalleryProps) {
  const shown = galleryMarks.filter(({ name }) => mark === undefined || name === mark);
  return (
    <div className="gallery">
      <header className="gallery-head">
        <h1>
          <a href={addressOf({ theme })}>Gallery of marks</a>
        </h1>
        <nav className="gallery-themes" aria-label="Theme">
          {([undefined, 'light', 'dark'] as const).map((each) => (
            <Link key={each ?? 'system'} href={addressOf({ mark, theme: each })} isCurrent={each === theme}>
              {each ?? 'system'}
            </Link>
          ))}
        </nav>
        <nav className="gallery-names" aria-label="Marks">
          {galleryMarks.map(({ name }) => (
            <Link key={name} href={addressOf({ mark: name, theme })} isCurrent={name === mark}>
              {name}
            </Link>
          ))}
        </nav>
      </header>
      <main className="gallery-marks">
        {shown.map((each) => (
          <Entry key={each.name} mark={each} statistics={statistics} />
        ))}
        {shown.length === 0 && <p>There is no mark “{mark}”.</p>}
      </main>
    </div>
  );
}

function Entry({ mark, statistics }: { readonly mark: GalleryMark; readonly statistics: SampleStatistics }) {
  const { name, about, files, draw } = mark;
  return (
    <section className="gallery-mark" aria-labelledby={name}>
      <h2 id={name}>{name}</h2>
      <p className="gallery-files mono">{files.join(', ')}</p>
      <p className="gallery-about">{about}</p>
      <div className="gallery-drawing" data-name={name}>
        {draw(statistics)}
      </div>
    </section>
  );
}

function Link(props: { readonly href: string; readonly isCurrent: boolean; readonly children: string }) {
  const { href, isCurrent, children } = props;
  return (
    <a href={href} aria-current={isCurrent ? 'page' : undefined}>
      {children}
    </a>
  );
}

function addressOf({ mark, theme }: Partial<Pick<GalleryProps, 'mark' | 'theme'>>): string {
  const query = new URLSearchParams({ ...(mark && { mark }), ...(theme && { theme }) });
  return `?${query}`;
}
