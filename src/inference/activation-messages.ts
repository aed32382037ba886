// What the page and the worker of token activation maps say to each other.
import type { TokenActivationInput, TokenActivationMap } from '../math/methods/token-activation';
import type { Failed } from '../workers/worker-link';

export interface MadeActivationMap extends TokenActivationMap {
  readonly computeMs: number;
}

export type ActivationRequest =
  /** `answer` numbers the answer that this is of; it takes the place of the one before. */
  | { readonly type: 'open'; readonly id: number; readonly answer: number; readonly input: TokenActivationInput }
  | { readonly type: 'map'; readonly id: number; readonly answer: number; readonly tokenIndex: number };

export type ActivationReply =
  | { readonly type: 'opened'; readonly id: number }
  | { readonly type: 'map'; readonly id: number; readonly map: MadeActivationMap }
  | Failed;
