import { expect, test } from 'vitest';
import { exampleHeader } from '../contract/run.example';
import { sampleKind, sampleOf } from './sample-images';

const { model } = exampleHeader;
const scenes = { weights: '7be40db1528cdd04' };
const source = { opensWith: 'image', model, weights: scenes.weights } as const;

test('scenes suit a model with the embedded model’s weights, photographs suit any other', () => {
  expect(sampleKind(source, scenes)).toBe('scenes');
  expect(sampleKind({ ...source, weights: '0123456789abcdef' }, scenes)).toBe('photographs');
  expect(sampleKind({ ...source, weights: undefined }, scenes)).toBe('photographs');
});

test('the kind is unknown until both the model and the index are known', () => {
  expect(sampleKind({ ...source, model: undefined }, scenes)).toBeUndefined();
  expect(sampleKind(source, undefined)).toBeUndefined();
});

test('photographs suit a model that cannot be compared, because the index of scenes failed to load', () => {
  expect(sampleKind(source, 'failed')).toBe('photographs');
  expect(sampleKind({ ...source, model: undefined }, 'failed')).toBeUndefined();
});

test('a source with recorded runs has scenes before its model has loaded', () => {
  expect(sampleKind({ opensWith: 'recorded-run', model: undefined, weights: undefined }, undefined)).toBe('scenes');
});

test('an image with the name of a sample is not that sample, and a sample under another name is', () => {
  const coffee = { file: 'coffee.jpg', sha256: 'c0', alt: 'An espresso', questions: [] };
  expect(sampleOf([coffee], { ...exampleHeader.image, name: 'coffee.jpg', sha256: 'f1' })).toBeUndefined();
  expect(sampleOf([coffee], { ...exampleHeader.image, name: 'mine.jpg', sha256: 'c0' })).toBe(coffee);
  expect(sampleOf([coffee], undefined)).toBeUndefined();
});
