import { readImage } from './inference/read-image';
import { createEmbeddedSource } from './source/embedded-source';
import { createAskSession } from './state/ask-session';
import { createImageShelf } from './state/image-shelf';
import { createRunLibrary } from './state/run-library';
import { renderPage } from './views/render-page';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');

/** `?backend=wasm` or `webgpu` asks for one by name; else the start-up check chooses. */
function chosenBackend() {
  const wanted = new URLSearchParams(location.search).get('backend');
  return wanted === 'wasm' || wanted === 'webgpu' ? wanted : 'auto';
}

const source = createEmbeddedSource({ modelUrl: './models/patchlight-scenes/', backend: chosenBackend() });
const library = createRunLibrary();

renderPage(root, {
  source,
  library,
  shelf: createImageShelf(),
  asking: createAskSession(source, library),
  samplesUrl: './samples/',
  readImage,
  // Reading Arrow is 40 kB that the first paint can do without.
  async *openRecorded(bytes) {
    const { openRecorded } = await import('./source/recorded-run');
    yield* openRecorded(bytes);
  },
});

// The example goes first: the model's megabytes would stand in its way. Where there is no example, the model comes soon.
const loadModel = () => void source.load().catch(() => {}); // the status says why
const latest = setTimeout(loadModel, 2000);
const stopWaiting = library.subscribe(() => {
  stopWaiting();
  clearTimeout(latest);
  loadModel();
});
