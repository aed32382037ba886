// Maps by a head besides FastRM's, from the states that were kept of an answer.
import type { StateRows } from '../contract/answer-states';
import type { OtherHeadMethod } from '../contract/methods';
import type { Head } from './head';
import type { Backend } from './runtime';
import { type FloatTensor, tensorOf } from './tensor';

/** T tokens of one answer. */
export interface OtherHeadRequest {
  readonly method: OtherHeadMethod;
  /** [P, d] */
  readonly patchStates: StateRows;
  /** [T, d] */
  readonly queryStates: StateRows;
  /** [T, P], if the head reads attention. */
  readonly attentionLogits: FloatTensor | undefined;
}

export interface OtherHeadMaps {
  /** Probabilities [T, P]. */
  readonly values: Float32Array;
  /** Of all tokens. */
  readonly computeMs: number;
  readonly backend: Backend;
}

export async function otherHeadMaps(
  head: Head,
  { patchStates, queryStates, attentionLogits }: OtherHeadRequest,
): Promise<OtherHeadMaps> {
  const from = performance.now();
  await head.setImage(tensorOf(patchStates));
  const { patches } = await head.maps(tensorOf(queryStates), attentionLogits);
  return { values: patches.data, computeMs: performance.now() - from, backend: head.backend };
}
