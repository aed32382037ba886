import { describe, expect, it } from 'vitest';
import type { RelevancyMap } from '../contract/run';
import { promptRelevancy, weighsWords } from './prompt-relevancy';

function recordOf(...maps: readonly Partial<RelevancyMap>[]) {
  return { mapOf: (index: number) => maps[index] as RelevancyMap | undefined };
}
const values = (...numbers: number[]) => Float32Array.from(numbers);

describe('the relevancy of words', () => {
  const record = recordOf(
    { values: values(1, 1), text: { prompt: values(1, 1), answer: values() } },
    { values: values(0, 3), text: { prompt: values(4, 2), answer: values(3) } },
    { values: values(0, 0), text: { prompt: values(0, 0), answer: values(0, 0) } },
    { values: values(1, 1) },
  );

  const sharesOf = (tokenIndices: readonly number[]) => {
    const words = promptRelevancy(record, tokenIndices, 'chefer');
    if (words?.unit !== 'share') throw new Error('expected shares');
    return words;
  };

  it('is each word’s share of the total relevancy', () => {
    const words = sharesOf([1]);
    expect(Array.from(words.prompt)).toEqual([values(4 / 12)[0], values(2 / 12)[0]]);
    expect(Array.from(words.answer)).toEqual([0.25]);
    expect([words.imageShare, words.promptShare, words.answerShare]).toEqual([0.25, expect.closeTo(0.5, 6), 0.25]);
  });

  it('is the mean of several tokens’ shares; an answer word counts 0 for the tokens before it', () => {
    const words = sharesOf([0, 1]);
    expect(words.prompt[0]).toBeCloseTo((0.25 + 4 / 12) / 2, 6);
    expect(Array.from(words.answer)).toEqual([0.125]);
    expect(words.imageShare).toBeCloseTo((0.5 + 0.25) / 2, 6);
  });

  it('skips tokens without relevancy and maps without text, and is undefined if none remains', () => {
    expect(sharesOf([1, 2]).imageShare).toBe(0.25);
    expect(promptRelevancy(record, [2, 3], 'chefer')).toBeUndefined();
    expect(promptRelevancy(record, [7], 'chefer')).toBeUndefined();
    expect(promptRelevancy(record, [], 'chefer')).toBeUndefined();
  });
});

describe('FastRM’s relevancy of words', () => {
  const record = recordOf(
    { values: values(1, 1), text: { prompt: values(0.25, 0), answer: values() } },
    { values: values(0, 0), text: { prompt: values(0.75, 0.5), answer: values() } },
    { values: values(0.5, 0.5) },
    { values: values(0.1, 0.1), text: { prompt: values(0, 0), answer: values() } },
  );

  it('is each word’s probability, whatever the patches have, with no shares and nothing for the answer', () => {
    expect(promptRelevancy(record, [1], 'fastrm')).toEqual({ unit: 'probability', prompt: values(0.75, 0.5) });
    expect(promptRelevancy(record, [3], 'fastrm'), 'of no word').toEqual({ unit: 'probability', prompt: values(0, 0) });
  });

  it('is the mean over the selected tokens that have it', () => {
    const words = promptRelevancy(record, [0, 1, 2], 'fastrm');
    expect(words).toEqual({ unit: 'probability', prompt: values(0.5, 0.25) });
    expect(promptRelevancy(record, [2], 'fastrm')).toBeUndefined();
  });
});

describe('whether a method weighs words', () => {
  const tokens = [{ index: 0 }, { index: 1 }] as unknown as Parameters<typeof weighsWords>[0]['tokens'];
  const text = { prompt: values(0.5), answer: values() };
  const weighs = (method: Parameters<typeof weighsWords>[1], ...maps: readonly Partial<RelevancyMap>[]) =>
    weighsWords({ ...recordOf(...maps), tokens }, method);

  it('is known from its maps if it has any', () => {
    expect(weighs('fastrm', { values: values(1) }, { values: values(1) })).toBe(false);
    expect(weighs('fastrm', { values: values(1) }, { values: values(1), text })).toBe(true);
  });

  it('is otherwise what the method can do', () => {
    expect(weighs('fastrm')).toBe(true);
    expect(weighs('chefer')).toBe(true);
    expect(weighs('dex-ar', { values: values(1) })).toBe(false);
  });
});
