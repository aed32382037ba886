// The gallery of marks, at /gallery.html of `npm run dev`: ?mark=density&theme=dark. It is not part of the built page.
import { createRoot } from 'react-dom/client';
import '@fontsource-variable/inter/opsz.css';
import '@fontsource-variable/jetbrains-mono';
import '../theme/tokens.css';
import '../theme/base.css';
import { Gallery } from './gallery';
import { readFewAnswers, readSampleAnswers } from './sample-answers';

const root = document.getElementById('root');
if (root === null) throw new Error('gallery.html has no #root');

const query = new URLSearchParams(location.search);
const asked = query.get('theme');
const theme = asked === 'light' || asked === 'dark' ? asked : undefined;
if (theme) document.documentElement.dataset.theme = theme;
// A canvas draws its text once, with the fonts that are there.
await document.fonts.load('16px "Inter Variable"');
const data = { answers: await readSampleAnswers(), few: await readFewAnswers() };
createRoot(root).render(<Gallery data={data} mark={query.get('mark') ?? undefined} theme={theme} />);
