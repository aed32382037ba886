// A worker's protocol as one map: each request type with what is asked, what is reported on the way, and the answer.
// The types of both ends follow from it. Errors cross as data.

interface Question {
  readonly asks: unknown;
  /** Reported before the answer, any number of times. */
  readonly events?: unknown;
  readonly answers: unknown;
}

/** An interface with one `Question` per request type. */
export type QuestionMap<Q> = { readonly [Type in keyof Q]: Question };

export type TypeOf<Q> = keyof Q & string;

export type EventOf<Q, Type extends keyof Q> = Q[Type] extends { readonly events: infer Event } ? Event : never;

export type AskMessage<Q extends QuestionMap<Q>> = {
  readonly [Type in TypeOf<Q>]: {
    readonly kind: 'ask';
    readonly id: number;
    readonly type: Type;
    readonly asked: Q[Type]['asks'];
    /** A request replaces the earlier ones of the same key. */
    readonly key: string | undefined;
  };
}[TypeOf<Q>];

export type WorkerRequest<Q extends QuestionMap<Q>> =
  | AskMessage<Q>
  /** Of the request with this id. */
  | { readonly kind: 'cancel'; readonly id: number };

/** Each request ends with one reply that is not an event. */
export type WorkerReply<Q extends QuestionMap<Q>> =
  | { readonly kind: 'event'; readonly id: number; readonly event: EventOf<Q, TypeOf<Q>> }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Q[TypeOf<Q>]['answers'] }
  | { readonly kind: 'superseded'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly reason: string };
