import { type MethodId, methods } from '../contract/methods';
import type { RelevancyMap, TextRelevancy } from '../contract/run';
import type { RunSnapshot } from './run-record';

/** What the selected tokens rested on besides the image. */
export type WordsRelevancy = WordShares | WordProbabilities;

/** Shares of the total relevancy: patches, prompt and answer sum to 1. */
interface WordShares {
  readonly unit: 'share';
  /** One per prompt token. */
  readonly prompt: Float32Array;
  /** One per answer token before the last selected one. */
  readonly answer: Float32Array;
  readonly imageShare: number;
  readonly promptShare: number;
  readonly answerShare: number;
}

/** Of each word by itself: there is no total, and nothing about the answer. */
interface WordProbabilities {
  readonly unit: 'probability';
  /** One per prompt token. */
  readonly prompt: Float32Array;
}

type WordsMap = RelevancyMap & { readonly text: TextRelevancy };

/** The unweighted mean of the selected tokens' shares or probabilities; undefined if no map includes the text. */
export function promptRelevancy(
  run: Pick<RunSnapshot, 'mapOf'>,
  tokenIndices: readonly number[],
  method: MethodId,
): WordsRelevancy | undefined {
  const maps = tokenIndices
    .map((index) => run.mapOf(index, method))
    .filter((map): map is WordsMap => map?.text !== undefined);
  return methods[method].words === 'probabilities' ? meanProbabilities(maps) : meanShares(maps);
}

/**
 * Whether the method weighs words in this run: what its maps have, or, before there is one, what the method can do. Of
 * FastRM's heads only some can.
 */
export function weighsWords({ mapOf, tokens }: Pick<RunSnapshot, 'mapOf' | 'tokens'>, method: MethodId): boolean {
  if (methods[method].words === 'none') return false;
  const maps = tokens.map(({ index }) => mapOf(index, method)).filter((map) => map !== undefined);
  return maps.length === 0 || maps.some(({ text }) => text !== undefined);
}

function meanProbabilities(maps: readonly WordsMap[]): WordProbabilities | undefined {
  const [first] = maps;
  if (first === undefined) return undefined;
  const mean = first.text.prompt.map((_, i) => {
    return maps.reduce((sum, { text }) => sum + text.prompt[i]!, 0) / maps.length;
  });
  return { unit: 'probability', prompt: mean };
}

function meanShares(maps: readonly WordsMap[]): WordShares | undefined {
  const longest = Math.max(0, ...maps.map(({ text }) => text.answer.length));
  const prompt = new Float32Array(maps[0]?.text.prompt.length ?? 0);
  const answer = new Float32Array(longest);
  let image = 0;
  let counted = 0;
  for (const { values, text } of maps) {
    const sum = sumOf(values) + sumOf(text.prompt) + sumOf(text.answer);
    if (!(sum > 0)) continue;
    counted += 1;
    image += sumOf(values) / sum;
    for (const [i, value] of text.prompt.entries()) prompt[i] = (prompt[i] ?? 0) + value / sum;
    for (const [i, value] of text.answer.entries()) answer[i] = answer[i]! + value / sum;
  }
  if (counted === 0) return undefined;
  const mean = (values: Float32Array) => values.map((value) => value / counted);
  const [meanPrompt, meanAnswer] = [mean(prompt), mean(answer)];
  return {
    unit: 'share',
    prompt: meanPrompt,
    answer: meanAnswer,
    imageShare: image / counted,
    promptShare: sumOf(meanPrompt),
    answerShare: sumOf(meanAnswer),
  };
}

function sumOf(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}
