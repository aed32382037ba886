import type { HeadFacts, RunHeader } from './run';

/** A head for tests that does not say which model it was trained on. */
export const exampleHead: HeadFacts = {
  name: 'fastrm',
  revision: 'h1',
  stage: 'post_norm',
  teacher: 'Chefer relevancy, exact',
  labellingThreshold: 0.3,
  classificationThreshold: 0.4,
};

/** A header for tests: one frame of 2 x 3 patches, no head. */
export const exampleHeader: RunHeader = {
  formatVersion: 2,
  id: 'run 1',
  createdAt: '2026-11-21T00:00:00Z',
  question: 'What color is the "large" cube?',
  image: {
    bytes: new Uint8Array(1),
    mediaType: 'image/png',
    name: 'scene.png',
    sha256: '',
    picture: { blob: new Blob(), widthPx: 30, heightPx: 20 },
  },
  geometry: {
    sourceWidthPx: 30,
    sourceHeightPx: 20,
    preprocessing: 'none',
    frames: [
      {
        name: 'image',
        crop: { xPx: 0, yPx: 0, widthPx: 30, heightPx: 20 },
        grid: { rows: 2, cols: 3 },
        modelWidthPx: 336,
        modelHeightPx: 336,
      },
    ],
  },
  model: {
    name: 'm',
    revision: 'r1',
    hiddenSize: 4,
    stage: 'post_norm',
    knows: '',
    family: 'LLaVA-1.5',
    dtype: 'float32',
  },
  head: undefined,
  sampling: { maxNewTokens: 8, temperature: 0, topP: 1, seed: 0 },
  recorded: false,
};
