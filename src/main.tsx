import { QueryClient } from '@tanstack/react-query';
import { createPictureClient } from './inference/picture-client';
import { readImage } from './inference/read-image';
import { createCompanionSource } from './source/companion-source';
import { createEmbeddedSource } from './source/embedded-source';
import { createAskSession } from './state/ask-session';
import { forgetCalibrations, restoreCalibrationFile } from './state/calibration-files';
import { useChoices } from './state/choices';
import { createExplainSession, forgetTracks } from './state/explain-session';
import { createImageIntake } from './state/image-intake';
import { createImageShelf } from './state/image-shelf';
import { askBeforeLeaving, createKeptRuns } from './state/kept-runs';
import { createRunLibrary } from './state/run-library';
import { tabStorage } from './state/tab-storage';
import { createStatisticsClient } from './statistics/client';
import { renderPage } from './views/app/render-page';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');

/** The backend named by `?backend=wasm` or `?backend=webgpu`; otherwise the start-up check chooses. */
function chosenBackend() {
  const requested = new URLSearchParams(location.search).get('backend');
  return requested === 'wasm' || requested === 'webgpu' ? requested : 'auto';
}

/**
 * A companion writes its address into the page it serves; with `?source=embedded`, the page uses the embedded model
 * instead.
 */
function companionUrl(): string | undefined {
  if (new URLSearchParams(location.search).get('source') === 'embedded') return undefined;
  return document.querySelector<HTMLMetaElement>('meta[name="patchlight-companion"]')?.content;
}

/** Whether the page was reloaded or reached by Back or Forward; a followed link shows what it names instead. */
function isReturning(): boolean {
  const [navigation] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
  return navigation?.type === 'reload' || navigation?.type === 'back_forward';
}

const modelUrl = './models/patchlight-scenes/';
const calibrationUrl = './datasets/patchlight-scenes/calibration.arrow';
const apiUrl = companionUrl();
const pictures = createPictureClient();
const source =
  apiUrl === undefined
    ? createEmbeddedSource({ modelUrl, calibrationUrl, backend: chosenBackend() })
    : createCompanionSource({ apiUrl, backend: chosenBackend(), encodePicture: pictures.encode });
const files = {
  library: createRunLibrary({ isOnScreen: (id) => useChoices.getState().runId === id, onDrop: forgetTracks }),
  shelf: createImageShelf(),
  readImage: (file: Blob, name: string) => readImage(pictures, file, name),
  checkImage: source.checkImage,
  maxImages: () => source.maxImages,
  // Imported on demand: the Arrow reader adds 40 kB that the first paint does not need.
  async *openRecorded(bytes: Uint8Array<ArrayBuffer>) {
    const { openRecorded } = await import('./source/recorded-run');
    yield* openRecorded(bytes, pictures.read);
  },
};
const { library } = files;
const intake = createImageIntake(files);
const asking = createAskSession(source, library, intake);
const explaining = createExplainSession(source);
/** Queries also run offline, because workers and the page's own files still respond. */
const queries = new QueryClient({ defaultOptions: { queries: { networkMode: 'always' } } });

const statistics = createStatisticsClient(() => forgetCalibrations(queries));
void restoreCalibrationFile(statistics);
createKeptRuns({
  library,
  tab: tabStorage(),
  openStore: async (visit) => (await import('./state/visit-store')).openVisitStore(visit),
  isReturning: isReturning(),
});
askBeforeLeaving(window);

renderPage(
  root,
  {
    ...files,
    source,
    intake,
    asking,
    explaining,
    samplesUrl: './samples/',
    photographsUrl: './photographs/',
    modelUrl,
    statistics,
    recordedCalibrationUrl: calibrationUrl,
  },
  queries,
);

const loadModel = () => void source.load().catch(() => {}); // the status reports the error
if (source.opensWith === 'image') {
  loadModel(); // which image suits depends on the model
} else {
  // Load the example before the model, whose megabytes would delay it. If no example arrives, load the model after a timeout.
  const timeout = setTimeout(loadModel, 2000);
  const stopWaiting = library.subscribe(() => {
    stopWaiting();
    clearTimeout(timeout);
    loadModel();
  });
}
