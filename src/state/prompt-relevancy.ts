import type { MethodId } from '../contract/methods';
import type { RunSnapshot } from './run-record';

/** Shares of the total relevancy: patches, prompt and answer sum to 1. */
export interface WordsRelevancy {
  /** One per prompt token. */
  readonly prompt: Float32Array;
  /** One per answer token before the last selected one. */
  readonly answer: Float32Array;
  readonly imageShare: number;
  readonly promptShare: number;
  readonly answerShare: number;
}

/** The unweighted mean of the selected tokens' shares; undefined if no map includes the text. */
export function promptRelevancy(
  run: Pick<RunSnapshot, 'mapOf'>,
  tokenIndices: readonly number[],
  method: MethodId,
): WordsRelevancy | undefined {
  const maps = tokenIndices.map((index) => run.mapOf(index, method)).filter((map) => map?.text !== undefined);
  const longest = Math.max(0, ...maps.map((map) => map!.text!.answer.length));
  const prompt = new Float32Array(maps[0]?.text?.prompt.length ?? 0);
  const answer = new Float32Array(longest);
  let image = 0;
  let counted = 0;
  for (const map of maps) {
    const { values, text } = map!;
    const sum = sumOf(values) + sumOf(text!.prompt) + sumOf(text!.answer);
    if (!(sum > 0)) continue;
    counted += 1;
    image += sumOf(values) / sum;
    for (const [i, value] of text!.prompt.entries()) prompt[i] = (prompt[i] ?? 0) + value / sum;
    for (const [i, value] of text!.answer.entries()) answer[i] = answer[i]! + value / sum;
  }
  if (counted === 0) return undefined;
  const mean = (values: Float32Array) => values.map((value) => value / counted);
  const [meanPrompt, meanAnswer] = [mean(prompt), mean(answer)];
  return {
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
