import { describe, expect, it } from 'vitest';
import type { RelevancyMap, RunHeader } from '../contract/run';
import { exampleHeader } from '../contract/run.example';
import { selectFrame, selectImage } from './shown-frame';

const [frame] = exampleHeader.geometry.frames; // 2 x 3 patches
const second = { ...exampleHeader.image, picture: { blob: new Blob(), widthPx: 8, heightPx: 4 } };
const small = { ...frame, crop: { xPx: 0, yPx: 0, widthPx: 8, heightPx: 4 }, grid: { rows: 1, cols: 2 }, image: 1 };
const header: RunHeader = {
  ...exampleHeader,
  images: [exampleHeader.image, second],
  geometry: {
    ...exampleHeader.geometry,
    frames: [frame, { ...small, name: 'detail' }, { ...small, name: 'overview' }],
  },
};
const map = (tokenIndex: number, values: readonly number[]): RelevancyMap => {
  return { method: 'chefer', tokenIndex, values: Float32Array.from(values), backend: 'python', computeMs: 1 };
};
const maps = [map(0, [0, 0, 0, 0, 0, 0.5, 0, 0, 0.4, 0]), map(1, [0, 0, 0, 0, 0, 0.1, 0, 0, 0.3, 0])];
const run = { header, mapOf: (index: number) => maps[index] };
const one = { header: exampleHeader, mapOf: (index: number) => maps[index] };

describe('the frame on screen', () => {
  it('is the first frame of the first image by default', () => {
    expect(selectFrame(header, { name: null })).toMatchObject({
      ...{ name: 'image', image: 0, images: 2 },
      placement: { sourceWidthPx: 30, sourceHeightPx: 20, first: 0, end: 6 },
    });
  });

  it('has the place, size and frames of its own image', () => {
    const shown = selectFrame(header, { name: 'overview', image: 1 });
    expect(shown).toMatchObject({
      ...{ name: 'overview', image: 1 },
      placement: { sourceWidthPx: 8, sourceHeightPx: 4, first: 8, end: 10 },
    });
    expect(shown.all.map(({ name }) => name)).toEqual(['detail', 'overview']);
  });

  it('is the first frame of the image if that has none of the name, and of the first image if there is none', () => {
    expect(selectFrame(header, { name: 'image', image: 1 })).toMatchObject({ name: 'detail', image: 1 });
    expect(selectFrame(exampleHeader, { name: 'overview', image: 3 })).toMatchObject({ name: 'image', image: 0 });
  });
});

describe('the image on screen', () => {
  it.each([
    ['the image on which the map peaks', [0], undefined, 0],
    ['that of another token', [1], undefined, 1],
    ['that of the mean map of several tokens', [0, 1], undefined, 1],
    ['the image that the user switched to', [0], 1, 1],
    ['not known without a map', [5], undefined, undefined],
  ])('is %s', (_name, indices, switchedTo, expected) => {
    expect(selectImage(run, { method: 'chefer', indices }, switchedTo)).toBe(expected);
  });

  it('is not chosen if there is only one', () => {
    expect(selectImage(one, { method: 'chefer', indices: [0] }, 1)).toBeUndefined();
  });
});
