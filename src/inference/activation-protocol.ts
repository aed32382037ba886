// The protocol of the token activation worker.
import type { ActivationToken, TokenActivationInput, TokenActivationMap } from '../math/methods/token-activation';

export interface TimedActivationMap extends TokenActivationMap {
  readonly computeMs: number;
}

export interface ActivationProtocol {
  /** `answer` identifies the answer that `input` describes; it replaces the previous answer. */
  open: { request: { readonly answer: number; readonly input: TokenActivationInput }; response: undefined };
  append: {
    request: { readonly answer: number; readonly tokens: readonly ActivationToken[] };
    response: undefined;
  };
  map: { request: { readonly answer: number; readonly tokenIndex: number }; response: TimedActivationMap };
}
