// The protocol of the token activation worker.
import type { TokenActivationInput, TokenActivationMap } from '../math/methods/token-activation';

export interface TimedActivationMap extends TokenActivationMap {
  readonly computeMs: number;
}

export interface ActivationProtocol {
  /** `answer` identifies the input's answer, which replaces the previous one. */
  open: { request: { readonly answer: number; readonly input: TokenActivationInput }; response: undefined };
  map: { request: { readonly answer: number; readonly tokenIndex: number }; response: TimedActivationMap };
}
