import { describe, expect, it } from 'vitest';
import type { RelevancyMap } from '../contract/run';
import { promptRelevancy } from './prompt-relevancy';

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

  it('is each word’s share of the total relevancy', () => {
    const words = promptRelevancy(record, [1], 'chefer');
    expect(Array.from(words!.prompt)).toEqual([values(4 / 12)[0], values(2 / 12)[0]]);
    expect(Array.from(words!.answer)).toEqual([0.25]);
    expect([words!.imageShare, words!.promptShare, words!.answerShare]).toEqual([0.25, expect.closeTo(0.5, 6), 0.25]);
  });

  it('is the mean of several tokens’ shares; an answer word counts 0 for the tokens before it', () => {
    const words = promptRelevancy(record, [0, 1], 'chefer');
    expect(words!.prompt[0]).toBeCloseTo((0.25 + 4 / 12) / 2, 6);
    expect(Array.from(words!.answer)).toEqual([0.125]);
    expect(words!.imageShare).toBeCloseTo((0.5 + 0.25) / 2, 6);
  });

  it('skips tokens without relevancy and maps without text, and is undefined if none remains', () => {
    expect(promptRelevancy(record, [1, 2], 'chefer')?.imageShare).toBe(0.25);
    expect(promptRelevancy(record, [2, 3], 'chefer')).toBeUndefined();
    expect(promptRelevancy(record, [7], 'chefer')).toBeUndefined();
    expect(promptRelevancy(record, [], 'chefer')).toBeUndefined();
  });
});
