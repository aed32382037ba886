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
/** 1200 x 600: the shorter side fits, 300 px are cut off left and right. */
const oblong: Placement = {
  sourceWidthPx: 1200,
  sourceHeightPx: 600,
  crop: { xPx: 300, yPx: 0, widthPx: 600, heightPx: 600 },
  grid,
};

describe('patch geometry', () => {
  it('finds every patch again from the middle of its rectangle, square and oblong', () => {
    for (const placement of [square, oblong]) {
      for (let index = 0; index < 576; index++) {
        const patch = patchAtIndex(grid, index);
        const rect = patchRect(placement, patch);
        const found = patchAtPoint(placement, rect.xPx + rect.widthPx / 2, rect.yPx + rect.heightPx / 2);
        expect(found && patchIndex(grid, found)).toBe(index);
      }
    }
  });

  it('has no patch where the centre crop cut the image off', () => {
    expect(patchAtPoint(oblong, 299.9, 300)).toBeUndefined();
    expect(patchAtPoint(oblong, 300, 300)).toEqual({ row: 12, col: 0 });
    expect(patchAtPoint(oblong, 899.9, 300)).toEqual({ row: 12, col: 23 });
    expect(patchAtPoint(oblong, 900, 300)).toBeUndefined();
  });

  it('measures what the model did not see', () => {
    expect(unseenShare(square)).toBe(0);
    expect(unseenShare(oblong)).toBeCloseTo(0.5, 12);
    expect(unseenShare({ ...square, crop: { ...square.crop, widthPx: 335.8 } })).toBe(0);
  });

  it('places the crop as shares of the image', () => {
    expect(shareBox(extentOf(oblong), oblong.crop)).toEqual({ left: 0.25, top: 0, width: 0.5, height: 1 });
  });

  it('walks with keys and stops at the edges', () => {
    expect(patchAfterKey(grid, { row: 0, col: 0 }, 'ArrowLeft')).toEqual({ row: 0, col: 0 });
    expect(patchAfterKey(grid, { row: 3, col: 5 }, 'ArrowDown')).toEqual({ row: 4, col: 5 });
    expect(patchAfterKey(grid, { row: 3, col: 5 }, 'End')).toEqual({ row: 3, col: 23 });
    expect(patchAfterKey(grid, { row: 3, col: 5 }, 'x')).toBeUndefined();
  });

  it('makes room where padding takes a crop past the image, and none for rounding', () => {
    const padded = { ...oblong, crop: { xPx: 0, yPx: -300, widthPx: 1200, heightPx: 1200 } };
    expect(extentOf(padded)).toEqual({ xPx: 0, yPx: -300, widthPx: 1200, heightPx: 1200 });
    const image = { xPx: 0, yPx: 0, widthPx: 1200, heightPx: 600 };
    expect(shareBox(extentOf(padded), image)).toEqual({ left: 0, top: 0.25, width: 1, height: 0.5 });
    expect(unseenShare(padded)).toBe(0);
    expect(hasPadding(padded)).toBe(true);
    expect(hasPadding(oblong)).toBe(false);
    expect(extentOf({ ...oblong, crop: { xPx: -0.3, yPx: 0, widthPx: 1200.4, heightPx: 600 } })).toEqual(image);
  });
});

describe('frames', () => {
  const crop = { xPx: 0, yPx: 0, widthPx: 1200, heightPx: 600 };
  const frames = [
    { crop, grid: { rows: 2, cols: 3 } },
    { crop, grid: { rows: 1, cols: 2 } },
  ];
  const geometry = { sourceWidthPx: 1200, sourceHeightPx: 600, frames };

  it('have their patches one after the other in a map', () => {
    expect(framePlacement(geometry, 0)).toMatchObject({ first: 0, end: 6, grid: { rows: 2, cols: 3 } });
    expect(framePlacement(geometry, 1)).toMatchObject({ first: 6, end: 8, grid: { rows: 1, cols: 2 } });
  });

  it('are refused where there is none of that number', () => {
    expect(() => framePlacement(geometry, 2)).toThrow('frame 2 of 2');
  });
});
