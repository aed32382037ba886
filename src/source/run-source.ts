import type { ModelFacts, RunEvent, RunImage } from '../contract/run';

export interface Question {
  readonly image: RunImage;
  readonly text: string;
  readonly maxNewTokens?: number;
}

/** What makes a question unanswerable before any work is done; `unknownWords` are those the model has never seen. */
export type QuestionProblem =
  | { readonly kind: 'empty' }
  | { readonly kind: 'too-long'; readonly tokens: number; readonly limit: number }
  | { readonly kind: 'unknown-words'; readonly words: readonly string[] };

export type SourceStatus =
  | { readonly phase: 'idle' }
  | { readonly phase: 'loading'; readonly loadedBytes: number; readonly totalBytes: number; readonly what: string }
  | { readonly phase: 'ready'; readonly backend: 'webgpu' | 'wasm'; readonly note?: string }
  | { readonly phase: 'failed'; readonly reason: string };

/** Anything that answers: the embedded model, a recorded run, a companion. Nothing above knows which. */
export interface RunSource {
  readonly kind: 'embedded' | 'recorded' | 'companion';
  /** Undefined until it is known. */
  readonly model: ModelFacts | undefined;
  readonly status: SourceStatus;
  subscribe(onStatus: (status: SourceStatus) => void): () => void;
  /** Resolves once `ask` may be called; rejects with the reason. Safe to call again after a failure. */
  load(): Promise<void>;
  checkQuestion(text: string): QuestionProblem | undefined;
  /** Once begun it ends with an `end` event, aborted as `cancelled`; what goes wrong before `begin` is thrown. */
  ask(question: Question, signal: AbortSignal): AsyncIterable<RunEvent>;
}
