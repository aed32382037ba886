import { type MethodId, methods } from '../contract/methods';
import type { RelevancyMap } from '../contract/run';
import { imageShare } from '../math/maps/map-scales';
import type { RunSnapshot } from './run-record';

/**
 * Values that distinguish grounded tokens from purely linguistic ones; a value is undefined until a map provides it.
 */
export interface TokenMarks {
  /** Share of the method's relevancy on the image rather than on words, 0..1. */
  readonly imageShare: number | undefined;
  /** DEX-AR's grounding weight as a share of the largest in the answer, 0..1. */
  readonly grounding: number | undefined;
}

/** One per token, in order. */
export function selectTokenMarks(
  run: Pick<RunSnapshot, 'mapOf'>,
  tokenCount: number,
  method: MethodId | undefined,
): readonly TokenMarks[] {
  const groundings = Array.from({ length: tokenCount }, (_, index) => run.mapOf(index, 'dex-ar')?.grounding);
  const greatest = Math.max(0, ...groundings.filter((weight) => weight !== undefined));
  return groundings.map((grounding, index) => {
    const map = method && run.mapOf(index, method);
    return {
      imageShare: map && shareOnImage(map),
      grounding: grounding === undefined ? undefined : greatest > 0 ? grounding / greatest : 0,
    };
  });
}

const cache = new WeakMap<RelevancyMap, number | undefined>();

function shareOnImage(map: RelevancyMap): number | undefined {
  if (map.text === undefined || methods[map.method].words !== 'shares') return undefined;
  if (!cache.has(map)) cache.set(map, imageShare(map.values, map.text.prompt, map.text.answer));
  return cache.get(map);
}
