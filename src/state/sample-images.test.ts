import { expect, test } from 'vitest';
import { exampleHeader } from '../contract/run.example';
import { sampleKind } from './sample-images';

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

test('a source with recorded runs has scenes before its model has loaded', () => {
  expect(sampleKind({ opensWith: 'recorded-run', model: undefined, weights: undefined }, undefined)).toBe('scenes');
});
