import { describe, expect, it } from 'vitest';
import type { RunHeader } from '../contract/run';
import { type ExportedMap, mapAsCsv, mapAsJson, mapCaption } from './map-file';
import type { RunSnapshot } from './run-record';
import { selectFrame } from './shown-frame';

const header: RunHeader = {
  formatVersion: 2,
  id: 'run 1',
  createdAt: '2026-11-21T00:00:00Z',
  question: 'What color is the "large" cube?',
  image: { bytes: new Uint8Array(1), mediaType: 'image/png', name: 'scene.png', sha256: '' },
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
const run: RunSnapshot = {
  header,
  prompt: [],
  tokens: [{ index: 0, tokenId: 7, text: ' red', word: 0, logProb: -0.5, alternatives: [] }],
  mapOf: () => undefined,
  end: undefined,
};
const map: ExportedMap = {
  method: 'fastrm',
  pool: 'mean',
  values: Float32Array.of(0, 0.125, 0.25, 0.5, 0.75, 1),
  tokenIndices: [0],
  computeMs: 2,
  backend: 'wasm',
};
const exported = { run, frame: selectFrame(header.geometry, null), threshold: 0.5 };

describe('a map as a file', () => {
  it('keeps every value by row and column, and how it was made, in JSON', () => {
    const saved: unknown = JSON.parse(mapAsJson(exported, map));
    expect(saved).toMatchObject({
      method: 'FastRM',
      question: header.question,
      tokens: [{ index: 0, text: ' red', logProb: -0.5 }],
      backend: 'wasm',
      frame: 'image',
      geometry: { frames: [{ grid: { rows: 2, cols: 3 } }] },
      values: [
        [0, 0.125, 0.25],
        [0.5, 0.75, 1],
      ],
    });
  });

  it('has a line a patch in CSV, with rank and side of the threshold', () => {
    const lines = mapAsCsv(exported, map).trim().split('\n');
    const data = lines.filter((line) => !line.startsWith('#'));
    expect(data).toEqual([
      'row,col,relevancy,rank,at_or_above_threshold',
      '1,1,0,6,false',
      '1,2,0.125,5,false',
      '1,3,0.25,4,false',
      '2,1,0.5,3,true',
      '2,2,0.75,2,true',
      '2,3,1,1,true',
    ]);
    expect(lines.filter((line) => line.startsWith('# question:'))).toHaveLength(1);
  });

  it('is captioned with word, question, method and model', () => {
    const caption = mapCaption(exported, map).join('\n');
    for (const part of ['“red”', header.question, 'FastRM', 'm r1', 'wasm', '0.50']) expect(caption).toContain(part);
  });

  it('of another method says which, in what unit, how it was pooled and whether its pass says what was streamed', () => {
    const check = { isSame: false, largestDifference: 0.5 };
    const other: ExportedMap = { ...map, method: 'chefer', tokenIndices: [0, 0], pool: 'max', check };
    expect(JSON.parse(mapAsJson(exported, other))).toMatchObject({
      method: 'Chefer, exact',
      unit: 'share of the map’s maximum',
      pooledBy: 'maximum',
      reproduction: check,
    });
    const caption = mapCaption(exported, other).join('\n');
    for (const part of ['Chefer, exact', 'maximum of 2 maps', '0.50 of its maximum']) expect(caption).toContain(part);
    expect(caption).not.toContain('FastRM');
  });
});
