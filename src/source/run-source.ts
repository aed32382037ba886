import type { AnswerStates } from '../contract/answer-states';
import type { MethodId } from '../contract/methods';
import type {
  AnswerToken,
  AskedImages,
  ExplainEvent,
  HeadFacts,
  ModelFacts,
  RunEvent,
  RunHeader,
  RunImage,
} from '../contract/run';

export interface Question extends AskedImages {
  readonly text: string;
  readonly maxNewTokens?: number;
}

/** Why a question cannot be asked; `unknown-words` lists words the model has never seen. */
export type QuestionProblem =
  | { readonly kind: 'empty' }
  | { readonly kind: 'too-long'; readonly tokens: number; readonly limit: number }
  | { readonly kind: 'unknown-words'; readonly words: readonly string[] }
  /** Refused by the source; `reason` is a complete sentence. */
  | { readonly kind: 'refused'; readonly reason: string };

/** Thrown by `ask` if asking the same question again would fail again. */
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
      /** Where maps are computed; undefined if there are no maps. */
      readonly backend: 'webgpu' | 'wasm' | undefined;
      /** The device that the model runs on, if it does not run in this page: "cuda:0". */
      readonly device?: string;
      readonly note?: string;
      /** Whether starting several threads stalled in this browser, so that maps are computed on one. */
      readonly isRestarted?: boolean;
    }
  | { readonly phase: 'failed'; readonly reason: string };

/** Suggestions for the question box. */
interface AskingHints {
  readonly placeholder: string;
  /** Questions that fit any image. */
  readonly suggestions: readonly string[];
}

/** Whether a method is available for a run. */
export interface MethodOffer {
  readonly method: MethodId;
  /** Why the method is not available, in a sentence; undefined if it is. */
  readonly refusal: string | undefined;
  /** The head that computes the maps, if it is not the one in the run's header. */
  readonly head?: HeadFacts | undefined;
}

/** A request to explain tokens of a complete answer. */
export interface ExplainRequest {
  readonly method: MethodId;
  readonly header: RunHeader;
  /** All tokens of the answer. */
  readonly tokens: readonly AnswerToken[];
  /** Undefined if they are not kept. */
  readonly states?: AnswerStates | undefined;
  /** The tokens to explain. */
  readonly tokenIndices: readonly number[];
}

/** The embedded model or a companion. Callers may display `kind` but never branch on it. */
export interface RunSource {
  readonly kind: 'embedded' | 'companion';
  /** Undefined until known. */
  readonly model: ModelFacts | undefined;
  /** Identity of the model's weights. Undefined until known, or if the source does not report it. */
  readonly weights?: string | undefined;
  readonly status: SourceStatus;
  /** What the page shows first: one of this model's recorded runs, or an image to ask about. */
  readonly opensWith: 'recorded-run' | 'image';
  /**
   * URL of the model's calibration; its images, if any, are in the same folder. Undefined until known, or if there is
   * no calibration.
   */
  readonly calibrationUrl?: string | undefined;
  readonly hints: AskingHints;
  /** Number of images that a question may be about; 1 until known. */
  readonly maxImages: number;
  subscribe(onStatus: (status: SourceStatus) => void): () => void;
  /** Resolves once `ask` may be called, otherwise rejects with the reason. Safe to call again after a failure. */
  load(): Promise<void>;
  checkQuestion(text: string): QuestionProblem | undefined;
  /** Resolves to why an image cannot be asked about, as a sentence, as far as it is known before a question. */
  checkImage(image: RunImage): Promise<string | undefined>;
  /**
   * Throws on a failure before `begin`; after that, the stream always ends with an `end` event, `cancelled` if aborted.
   */
  ask(question: Question, signal: AbortSignal): AsyncIterable<RunEvent>;
  /**
   * Returns one offer for each method that the page knows; the offers may change with `status`. `states` are those that
   * are kept of the run.
   */
  offers(header: RunHeader, states?: AnswerStates): readonly MethodOffer[];
  /** Ends with an `end` event; if aborted, yields the finished maps, then a `cancelled` end. Throws if it fails. */
  explain(request: ExplainRequest, signal: AbortSignal): AsyncIterable<ExplainEvent>;
}
