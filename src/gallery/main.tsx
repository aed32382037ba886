// The gallery of marks, served by `npm run dev` at /gallery.html?mark=density&theme=dark. It is not part of the build.
import { createRoot } from 'react-dom/client';
import '@fontsource-variable/inter/opsz.css';
import '@fontsource-variable/jetbrains-mono';
import '../theme/tokens.css';
import '../theme/base.css';
import '../theme/forced-colours.css';
import { Gallery } from './gallery';
import { computeSampleStatistics } from './sample-answers';

const root = document.getElementById('root');
if (root === null) throw new Error('gallery.html has no #root');

const query = new URLSearchParams(location.search);
const theme = (['light', 'dark'] as const).find((each) => each === query.get('theme'));
if (theme) document.documentElement.dataset.theme = theme;
// A canvas does not redraw its text once a font has loaded, so load the font first.
await document.fonts.load('16px "Inter Variable"');
const statistics = await computeSampleStatistics();
createRoot(root).render(<Gallery statistics={statistics} mark={query.get('mark') ?? undefined} theme={theme} />);
