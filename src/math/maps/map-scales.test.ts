import { describe, expect, it } from 'vitest';
import {
  differenceOf,
  greatestOfMaps,
  imageShare,
  percentiles,
  sharesOfMaximum,
  weightedMeanOfMaps,
} from './map-scales';

const map = (...values: number[]) => Float32Array.from(values);

describe('one scale for maps of different units', () => {
  it('divides by the greatest value, and leaves a map without relevancy at 0', () => {
    expect(sharesOfMaximum(map(0, 2, 8))).toEqual(map(0, 0.25, 1));
    expect(sharesOfMaximum(map(0, 0))).toEqual(map(0, 0));
  });

  it('says how many of the other patches a patch outranks', () => {
    expect(percentiles(map(0.2, 0.9, 0.4, 0.4, 0))).toEqual(map(0.25, 1, 0.5, 0.5, 0));
  });

  it('gives a constant map and a single patch the percentile 0', () => {
    expect(percentiles(map(3, 3, 3))).toEqual(map(0, 0, 0));
    expect(percentiles(map(3))).toEqual(map(0));
  });

  it('subtracts patch by patch, and refuses maps of different length with both', () => {
    expect(differenceOf(map(1, 0.25), map(0.5, 1))).toEqual(map(0.5, -0.75));
    expect(() => differenceOf(map(1), map(1, 2))).toThrow('1 and 2');
  });
});

describe('several maps as one', () => {
  it('takes the greatest value of each patch', () => {
    expect(greatestOfMaps([map(1, 5), map(2, 3)])).toEqual(map(2, 5));
    expect(greatestOfMaps([])).toBeUndefined();
  });

  it('weighs each map, and is undefined where nothing weighs', () => {
    expect(weightedMeanOfMaps([map(1, 0), map(0, 1)], [3, 1])).toEqual(map(0.75, 0.25));
    expect(weightedMeanOfMaps([map(1, 0)], [0])).toBeUndefined();
    expect(weightedMeanOfMaps([], [])).toBeUndefined();
  });
});

describe('the share of relevancy on the image', () => {
  it('counts patches against prompt and answer', () => {
    expect(imageShare(map(1, 1), map(2), map(4))).toBe(0.25);
  });

  it('is one without text, and undefined without any relevancy', () => {
    expect(imageShare(map(0.5))).toBe(1);
    expect(imageShare(map(0, 0), map(0))).toBeUndefined();
  });
});
