import { describe, expect, it } from 'vitest';
import {
  extentOf,
  framePlacement,
  hasPadding,
  type Placement,
  patchAfterKey,
  patchAtIndex,
  patchAtPoint,
  patchIndex,
  patchRect,
  shareBox,
  unseenShare,
} from './patch-geometry';

const grid = { rows: 24, cols: 24 };
const square: Placement = {
  sourceWidthPx: 336,
  sourceHeightPx: 336,
  crop: { xPx: 0, yPx: 0, widthPx: 336, heightPx: 336 },
  grid,
};
/** 1200 x 600, centre crop: 300 px are cut off on the left and on the right. */
const landscape: Placement = {
  sourceWidthPx: 1200,
  sourceHeightPx: 600,
  crop: { xPx: 300, yPx: 0, widthPx: 600, heightPx: 600 },
  grid,
};

describe('patch geometry', () => {
  it('finds every patch from the centre of its rectangle, for square and landscape images', () => {
    for (const placement of [square, landscape]) {
      for (let index = 0; index < 576; index++) {
        const patch = patchAtIndex(grid, index);
        const rect = patchRect(placement, patch);
        const match = patchAtPoint(placement, rect.xPx + rect.widthPx / 2, rect.yPx + rect.heightPx / 2);
        expect(match && patchIndex(grid, match)).toBe(index);
      }
    }
  });

  it('has no patches outside the centre crop', () => {
    expect(patchAtPoint(landscape, 299.9, 300)).toBeUndefined();
    expect(patchAtPoint(landscape, 300, 300)).toEqual({ row: 12, col: 0 });
    expect(patchAtPoint(landscape, 899.9, 300)).toEqual({ row: 12, col: 23 });
    expect(patchAtPoint(landscape, 900, 300)).toBeUndefined();
  });

  it('measures the share of the image that the model did not see', () => {
    expect(unseenShare(square)).toBe(0);
    expect(unseenShare(landscape)).toBeCloseTo(0.5, 12);
    expect(unseenShare({ ...square, crop: { ...square.crop, widthPx: 335.8 } })).toBe(0);
  });

  it('converts the crop to shares of the image', () => {
    expect(shareBox(extentOf(landscape), landscape.crop)).toEqual({ left: 0.25, top: 0, width: 0.5, height: 1 });
  });

  it('moves with keys and stops at the edges', () => {
    expect(patchAfterKey(grid, { row: 0, col: 0 }, 'ArrowLeft')).toEqual({ row: 0, col: 0 });
    expect(patchAfterKey(grid, { row: 3, col: 5 }, 'ArrowDown')).toEqual({ row: 4, col: 5 });
    expect(patchAfterKey(grid, { row: 3, col: 5 }, 'End')).toEqual({ row: 3, col: 23 });
    expect(patchAfterKey(grid, { row: 3, col: 5 }, 'x')).toBeUndefined();
  });

  it('extends to the padding of a crop beyond the image, but ignores rounding', () => {
    const padded = { ...landscape, crop: { xPx: 0, yPx: -300, widthPx: 1200, heightPx: 1200 } };
    expect(extentOf(padded)).toEqual({ xPx: 0, yPx: -300, widthPx: 1200, heightPx: 1200 });
    const image = { xPx: 0, yPx: 0, widthPx: 1200, heightPx: 600 };
    expect(shareBox(extentOf(padded), image)).toEqual({ left: 0, top: 0.25, width: 1, height: 0.5 });
    expect(unseenShare(padded)).toBe(0);
    expect(hasPadding(padded)).toBe(true);
    expect(hasPadding(landscape)).toBe(false);
    expect(extentOf({ ...landscape, crop: { xPx: -0.3, yPx: 0, widthPx: 1200.4, heightPx: 600 } })).toEqual(image);
  });
});

describe('frames', () => {
  const crop = { xPx: 0, yPx: 0, widthPx: 1200, heightPx: 600 };
  const frames = [
    { crop, grid: { rows: 2, cols: 3 } },
    { crop, grid: { rows: 1, cols: 2 } },
  ];
  const geometry = { sourceWidthPx: 1200, sourceHeightPx: 600, frames };

  it('follow each other in a map', () => {
    expect(framePlacement(geometry, 0)).toMatchObject({ first: 0, end: 6, grid: { rows: 2, cols: 3 } });
    expect(framePlacement(geometry, 1)).toMatchObject({ first: 6, end: 8, grid: { rows: 1, cols: 2 } });
  });

  it('are rejected if the index is out of range', () => {
    expect(() => framePlacement(geometry, 2)).toThrow('frame 2 is out of range: the image has 2 frames');
  });
});
