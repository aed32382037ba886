import { type MethodId, methodIds } from '../contract/methods';
import type { MethodOffer } from '../source/run-source';
import type { RunSnapshot } from './run-record';

export interface Offer {
  readonly method: MethodId;
  /** In a sentence; undefined where the method's maps can be looked at. */
  readonly refusal: string | undefined;
  /** Whether the source computes maps that are not there yet. */
  readonly canExplain: boolean;
}

/** All methods in their order. Maps that a run already holds can be looked at whatever the source says. */
export function selectOffers(
  run: Pick<RunSnapshot, 'tokens' | 'mapOf'>,
  offered: readonly MethodOffer[],
): readonly Offer[] {
  return methodIds.map((method) => {
    const offer = offered.find((one) => one.method === method);
    const refusal = offer === undefined ? 'This model does not offer it.' : offer.refusal;
    const isHeld = run.tokens.some(({ index }) => run.mapOf(index, method) !== undefined);
    // FastRM's maps come with the answer: one that did not come then never does.
    const canExplain = refusal === undefined && method !== 'fastrm';
    return { method, refusal: isHeld ? undefined : refusal, canExplain };
  });
}

/** FastRM and its teacher. */
export const usualPair = ['fastrm', 'chefer'] as const satisfies readonly MethodId[];

/** The usual pair; where one cannot be had, the next that can. */
export function defaultPair(offers: readonly Offer[]): readonly [MethodId, MethodId] {
  const offered = offers.filter(({ refusal }) => refusal === undefined).map(({ method }) => method);
  const first = offered[0] ?? usualPair[0];
  return [first, offered[1] ?? usualPair.find((method) => method !== first) ?? usualPair[1]];
}

/** The first that is offered and not among `taken`. */
export function nextOffered(offers: readonly Offer[], taken: readonly MethodId[]): MethodId | undefined {
  return offers.find(({ method, refusal }) => refusal === undefined && !taken.includes(method))?.method;
}
