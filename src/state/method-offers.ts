import { type MethodId, methodIds } from '../contract/methods';
import type { HeadFacts, RunHeader } from '../contract/run';
import type { MethodOffer } from '../source/run-source';
import type { RunSnapshot } from './run-record';

export interface Offer {
  readonly method: MethodId;
  /** Why the method's maps cannot be shown, in a sentence; undefined if they can. */
  readonly refusal: string | undefined;
  /** Whether the source can compute missing maps. */
  readonly canExplain: boolean;
  /** The head that computes the maps, if it is not the one in the run's header. */
  readonly head?: HeadFacts | undefined;
}

/** All methods in order. Maps that a run already holds can always be shown, even if the source refuses the method. */
export function selectOffers(
  run: Pick<RunSnapshot, 'tokens' | 'mapOf'>,
  offered: readonly MethodOffer[],
): readonly Offer[] {
  return methodIds.map((method) => {
    const offer = offered.find((one) => one.method === method);
    const refusal = offer === undefined ? 'This model does not offer this method.' : offer.refusal;
    const isHeld = run.tokens.some(({ index }) => run.mapOf(index, method) !== undefined);
    // FastRM maps arrive with the answer and cannot be requested later.
    const canExplain = refusal === undefined && method !== 'fastrm';
    return { method, refusal: isHeld ? undefined : refusal, canExplain, ...(offer?.head && { head: offer.head }) };
  });
}

/** The head that computes a method's maps; undefined if the method has none, or if it is not known yet. */
export function headOf(
  method: MethodId,
  { head }: Pick<RunHeader, 'head'>,
  offers: readonly Pick<Offer, 'method' | 'head'>[],
): HeadFacts | undefined {
  return method === 'fastrm' ? head : offers.find((offer) => offer.method === method)?.head;
}

/** The method whose maps come with the answer, if any do: FastRM, or TAM without a head. */
export function defaultMethod({ head }: Pick<RunHeader, 'head'>): MethodId {
  return head === undefined ? 'tam' : 'fastrm';
}

/**
 * The chosen method; the default if none is chosen, or if the chosen one is not available. `isSettled`: whether offers
 * are final, because the source has loaded or failed to.
 */
export function shownMethod(
  chosen: MethodId | null,
  header: Pick<RunHeader, 'head'>,
  offers: readonly Offer[],
  isSettled: boolean,
): MethodId {
  if (chosen === null) return defaultMethod(header);
  const { refusal } = offers.find(({ method }) => method === chosen) ?? {};
  return refusal !== undefined && isSettled ? defaultMethod(header) : chosen;
}

/** FastRM and its teacher. */
export const usualPair = ['fastrm', 'chefer'] as const satisfies readonly MethodId[];

/** The usual pair; FastRM is replaced by TAM, and any method that is not available by the next available one. */
export function defaultPair(offers: readonly Offer[]): readonly [MethodId, MethodId] {
  const offered = offers.filter(({ refusal }) => refusal === undefined).map(({ method }) => method);
  const first = (['fastrm', 'tam'] as const).find((method) => offered.includes(method)) ?? offered[0] ?? usualPair[0];
  const others = offered.filter((method) => method !== first);
  const second = others.find((method) => method === 'chefer') ?? others[0];
  return [first, second ?? usualPair.find((method) => method !== first) ?? usualPair[1]];
}

/** The first available method that is not in `taken`. */
export function nextOffered(offers: readonly Offer[], taken: readonly MethodId[]): MethodId | undefined {
  return offers.find(({ method, refusal }) => refusal === undefined && !taken.includes(method))?.method;
}
