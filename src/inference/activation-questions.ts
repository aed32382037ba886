// What the page asks the worker of token activation maps.
import type { TokenActivationInput, TokenActivationMap } from '../math/methods/token-activation';

export interface MadeActivationMap extends TokenActivationMap {
  readonly computeMs: number;
}

export interface ActivationQuestions {
  /** `answer` numbers the answer that the input belongs to; it takes the place of the one before. */
  open: { asks: { readonly answer: number; readonly input: TokenActivationInput }; answers: undefined };
  map: { asks: { readonly answer: number; readonly tokenIndex: number }; answers: MadeActivationMap };
}
