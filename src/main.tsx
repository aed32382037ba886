import { QueryClient } from '@tanstack/react-query';
import { readImage } from './inference/read-image';
import { createCompanionSource } from './source/companion-source';
import { createEmbeddedSource } from './source/embedded-source';
import { createAskSession } from './state/ask-session';
import { forgetCalibrations } from './state/calibration-files';
import { useChoices } from './state/choices';
import { createExplainSession, forgetTracks } from './state/explain-session';
import { createImageIntake } from './state/image-intake';
import { createImageShelf } from './state/image-shelf';
import { createRunLibrary } from './state/run-library';
import { createStatisticsClient } from './statistics/client';
import { renderPage } from './views/app/render-page';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');

/** `?backend=wasm` or `webgpu` asks for one by name; else the start-up check chooses. */
function chosenBackend() {
  const wanted = new URLSearchParams(location.search).get('backend');
  return wanted === 'wasm' || wanted === 'webgpu' ? wanted : 'auto';
}

/** A companion writes its address into the page that it serves; `?source=embedded` asks the model in the page all the same. */
function companionUrl(): string | undefined {
  if (new URLSearchParams(location.search).get('source') === 'embedded') return undefined;
  return document.querySelector<HTMLMetaElement>('meta[name="patchlight-companion"]')?.content;
}

const modelUrl = './models/patchlight-scenes/';
const calibrationUrl = './datasets/patchlight-scenes/calibration.arrow';
const apiUrl = companionUrl();
const source =
  apiUrl === undefined
    ? createEmbeddedSource({ modelUrl, calibrationUrl, backend: chosenBackend() })
    : createCompanionSource({ apiUrl, backend: chosenBackend() });
const reading = {
  library: createRunLibrary({ isOnScreen: (id) => useChoices.getState().runId === id, onDrop: forgetTracks }),
  shelf: createImageShelf(),
  readImage,
  // Reading Arrow is 40 kB that the first paint can do without.
  async *openRecorded(bytes: Uint8Array<ArrayBuffer>) {
    const { openRecorded } = await import('./source/recorded-run');
    yield* openRecorded(bytes);
  },
};
const { library } = reading;
const intake = createImageIntake(reading);
const asking = createAskSession(source, library, intake);
const explaining = createExplainSession(source);
/** Workers and the page's own files answer without a network too. */
const queries = new QueryClient({ defaultOptions: { queries: { networkMode: 'always' } } });

renderPage(
  root,
  {
    ...reading,
    source,
    intake,
    asking,
    explaining,
    samplesUrl: './samples/',
    modelUrl,
    statistics: createStatisticsClient(() => forgetCalibrations(queries)),
    recordedCalibrationUrl: calibrationUrl,
  },
  queries,
);

// The example goes first: the model's megabytes would stand in its way. Where there is no example, the model comes soon.
const loadModel = () => void source.load().catch(() => {}); // the status says why
const latest = setTimeout(loadModel, 2000);
const stopWaiting = library.subscribe(() => {
  stopWaiting();
  clearTimeout(latest);
  loadModel();
});
