// A worker's protocol as one type: each operation's request, events and response. The page's and the worker's types
// both derive from it. Errors are sent as data.

interface Operation {
  readonly request: unknown;
  /** Sent before the response, any number of times. */
  readonly events?: unknown;
  readonly response: unknown;
}

/** An interface with one `Operation` per operation name. */
export type Protocol<P> = { readonly [Type in keyof P]: Operation };

export type TypeOf<P> = keyof P & string;

export type EventOf<P, Type extends keyof P> = P[Type] extends { readonly events: infer Event } ? Event : never;

export type RequestMessage<P extends Protocol<P>> = {
  readonly [Type in TypeOf<P>]: {
    readonly kind: 'request';
    readonly id: number;
    readonly type: Type;
    readonly request: P[Type]['request'];
    /** A request supersedes earlier ones with the same key. */
    readonly key: string | undefined;
  };
}[TypeOf<P>];

export type WorkerMessage<P extends Protocol<P>> =
  | RequestMessage<P>
  /** Cancels the request with this id. */
  | { readonly kind: 'cancel'; readonly id: number };

/** The last reply to a request is the only one that is not an event. */
export type WorkerReply<P extends Protocol<P>> =
  | { readonly kind: 'event'; readonly id: number; readonly event: EventOf<P, TypeOf<P>> }
  | { readonly kind: 'response'; readonly id: number; readonly response: P[TypeOf<P>]['response'] }
  | { readonly kind: 'superseded'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly reason: string };
