import { describe, expect, it } from 'vitest';
import { exampleHead, exampleHeader } from '../contract/run.example';
import { type ExportedMap, mapAsCsv, mapAsJson, mapCaption, mapFileName } from './map-file';
import type { RunSnapshot } from './run-record';
import { selectFrame } from './shown-frame';

const header = exampleHeader;
const run: RunSnapshot = {
  header,
  prompt: [],
  states: undefined,
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
const exported = { run, frame: selectFrame(header, { name: null }), threshold: 0.5 };

describe('an exported map', () => {
  it('has all values by row and column and the provenance in JSON', () => {
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

  it('has one CSV line per patch, with its rank and whether it reaches the threshold', () => {
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

  it('has a caption with the word, question, method and model', () => {
    const caption = mapCaption(exported, map).join('\n');
    for (const part of ['“red”', header.question, 'FastRM', 'm r1', 'wasm', '0.50']) expect(caption).toContain(part);
  });

  it('has a file name of its tokens and its method, which differs between FastRM and FastRM+', () => {
    expect(mapFileName([' red', ' cube'], undefined)).toBe('patchlight-red-cube');
    expect(mapFileName([' red'], 'FastRM')).toBe('patchlight-red-FastRM');
    expect(mapFileName([' red'], 'FastRM+')).toBe('patchlight-red-FastRM-plus');
    expect(mapFileName([], undefined)).toBe('patchlight-map');
  });

  it('by another head names that head instead of the one in the run’s header', () => {
    const other = { ...exampleHead, name: 'fastrm-plus', revision: 'p2' };
    const shown = {
      ...exported,
      run: { ...run, header: { ...header, head: { ...exampleHead, match: 'other' as const } } },
    };
    const plus: ExportedMap = { ...map, method: 'fastrm-plus', head: other };
    expect(JSON.parse(mapAsJson(shown, plus))).toMatchObject({ method: 'FastRM+', unit: 'probability', head: other });
    expect(JSON.parse(mapAsJson(shown, plus)).warning, 'it is about the other head').toBeUndefined();
    const caption = mapCaption(shown, plus);
    expect(caption[1]).toContain('FastRM+ by fastrm-plus p2');
    expect(caption).toHaveLength(3);
  });

  it('of several images says which one it lies on', () => {
    const [frame] = header.geometry.frames;
    const frames = [frame, { ...frame, image: 1 }] as const;
    const images = [header.image, { ...header.image, name: 'after.png' }];
    const two = { ...header, images, geometry: { ...header.geometry, frames } };
    const shown = { run: { ...run, header: two }, frame: selectFrame(two, { name: null, image: 1 }), threshold: 0.5 };
    expect(JSON.parse(mapAsJson(shown, map))).toMatchObject({
      image: 'after.png',
      imageIndex: 1,
      images: [{ name: 'scene.png', widthPx: 30 }, { name: 'after.png' }],
    });
    expect(mapCaption(shown, map).join('\n')).toContain('image 2 of 2');
    expect(mapCaption(exported, map).join('\n')).not.toContain('image 1');
  });

  it('says in every form if the head was trained on another model', () => {
    const head = { ...exampleHead, trainedOn: { name: 'other/model', revision: 'r9' }, match: 'other' } as const;
    const forced = { ...exported, run: { ...run, header: { ...header, head } } };
    const warning = 'Head trained on other/model (r9), not on m (r1): its maps are meaningless.';
    expect(JSON.parse(mapAsJson(forced, map))).toMatchObject({ warning, head: { match: 'other' } });
    expect(mapAsCsv(forced, map)).toContain(`# warning: "${warning}"`);
    expect(mapCaption(forced, map)).toContain(warning);
    const chefer: ExportedMap = { ...map, method: 'chefer' };
    expect(mapCaption(forced, chefer)).not.toContain(warning);
    expect(mapAsJson(forced, chefer)).not.toContain(warning);
  });

  it('of another method records the method, unit, pooling and reproduction check', () => {
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
