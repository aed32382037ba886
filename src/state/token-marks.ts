import type { MethodId } from '../contract/methods';
import type { RelevancyMap } from '../contract/run';
import { imageShare } from '../math/maps/map-scales';
import type { RunRecord } from './run-record';

/** What tells a grounded token from a merely linguistic one; each undefined where no map has said it. */
export interface TokenMarks {
  /** Of the method's relevancy, the share on the image and not on words, 0..1. */
  readonly imageShare: number | undefined;
  /** DEX-AR's weight as a share of the greatest one in the answer, 0..1. */
  readonly grounding: number | undefined;
}

/** One a token, in order. */
export function selectTokenMarks(
  record: Pick<RunRecord, 'mapOf'>,
  tokenCount: number,
  method: MethodId | undefined,
): readonly TokenMarks[] {
  const groundings = Array.from({ length: tokenCount }, (_, index) => record.mapOf(index, 'dex-ar')?.grounding);
  const greatest = Math.max(0, ...groundings.filter((weight) => weight !== undefined));
  return groundings.map((grounding, index) => {
    const map = method && record.mapOf(index, method);
    return {
      imageShare: map && shareOnImage(map),
      grounding: grounding === undefined ? undefined : greatest > 0 ? grounding / greatest : 0,
    };
  });
}

const known = new WeakMap<RelevancyMap, number | undefined>();

function shareOnImage(map: RelevancyMap): number | undefined {
  if (map.text === undefined) return undefined;
  if (!known.has(map)) known.set(map, imageShare(map.values, map.text.prompt, map.text.answer));
  return known.get(map);
}
