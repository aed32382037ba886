import type { MethodId } from '../contract/methods';
import type { AnswerToken, ExplainEvent, ModelFacts, RunEvent, RunHeader, RunImage } from '../contract/run';

export interface Question {
  readonly image: RunImage;
  readonly text: string;
  readonly maxNewTokens?: number;
}

/** What makes a question unanswerable before any work is done; `unknownWords` are those the model has never seen. */
export type QuestionProblem =
  | { readonly kind: 'empty' }
  | { readonly kind: 'too-long'; readonly tokens: number; readonly limit: number }
  | { readonly kind: 'unknown-words'; readonly words: readonly string[] }
  /** By the model's own end, for a reason that it says in a sentence. */
  | { readonly kind: 'refused'; readonly reason: string };

/** Thrown by `ask`: asking the same again would bring the same. */
export class QuestionRefused extends Error {
  readonly problem: QuestionProblem;

  constructor(reason: string) {
    super(reason);
    this.problem = { kind: 'refused', reason };
  }
}

export type SourceStatus =
  | { readonly phase: 'idle' }
  | { readonly phase: 'loading'; readonly loadedBytes: number; readonly totalBytes: number; readonly what: string }
  | {
      readonly phase: 'ready';
      /** Where the maps are made; undefined where there are none. */
      readonly backend: 'webgpu' | 'wasm' | undefined;
      /** What the model itself runs on, where that is not this page: "cuda:0". */
      readonly device?: string;
      readonly note?: string;
    }
  | { readonly phase: 'failed'; readonly reason: string };

/** What the page suggests to ask. */
interface AskingHints {
  readonly placeholder: string;
  /** Questions that fit any image. */
  readonly suggestions: readonly string[];
}

/** A method that can be had of a run, or why it cannot. */
export interface MethodOffer {
  readonly method: MethodId;
  /** In a sentence; undefined where it can be had. */
  readonly refusal: string | undefined;
}

/** Tokens of a finished answer to be explained. */
export interface ExplainRequest {
  readonly method: MethodId;
  readonly header: RunHeader;
  /** All of the answer. */
  readonly tokens: readonly AnswerToken[];
  /** Those wanted. */
  readonly tokenIndices: readonly number[];
}

/** Anything that answers: the embedded model or a companion. Callers show the kind, and never branch on it otherwise. */
export interface RunSource {
  readonly kind: 'embedded' | 'companion';
  /** Undefined until it is known. */
  readonly model: ModelFacts | undefined;
  readonly status: SourceStatus;
  /** Of its model's calibration, whose pictures lie beside it where there are any; missing where there is none, or none is known yet. */
  readonly calibrationUrl?: string | undefined;
  readonly hints: AskingHints;
  subscribe(onStatus: (status: SourceStatus) => void): () => void;
  /** Resolves once `ask` may be called; rejects with the reason. Safe to call again after a failure. */
  load(): Promise<void>;
  checkQuestion(text: string): QuestionProblem | undefined;
  /** Once begun it ends with an `end` event, aborted as `cancelled`; what goes wrong before `begin` is thrown. */
  ask(question: Question, signal: AbortSignal): AsyncIterable<RunEvent>;
  /** Each method that the page knows, for this run; may change with `status`. */
  offers(header: RunHeader): readonly MethodOffer[];
  /** Ends with `end`, aborted as `cancelled` with the maps that were done; throws where it cannot be done. */
  explain(request: ExplainRequest, signal: AbortSignal): AsyncIterable<ExplainEvent>;
}
