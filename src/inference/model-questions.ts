// What the page asks the embedded model's worker.
import type { ModelManifest } from '../contract/manifest';
import type { ExplainEvent } from '../contract/run';
import type { AnswerEvent, ImageQuestion } from './embedded-model';
import type { AnswerToExplain } from './explainer';
import type { LoadProgress } from './load-progress';
import type { TokenizerFiles } from './prompt-tokenizer';
import type { Backend, BackendChoice } from './runtime';

export interface LoadRequest {
  readonly modelUrl: string;
  readonly backend: BackendChoice;
}

export interface LoadedModel {
  readonly manifest: ModelManifest;
  /** The page reads questions itself, so that it can say what is wrong as they are typed. */
  readonly tokenizer: TokenizerFiles;
  readonly backend: Backend;
  readonly threads: number;
  readonly note: string | undefined;
}

/** Where the maps of an answer were made. */
export interface BackendReport {
  readonly backend: Backend;
  readonly note: string | undefined;
}

export interface ModelQuestions {
  load: { asks: LoadRequest; events: LoadProgress; answers: LoadedModel };
  ask: { asks: ImageQuestion; events: AnswerEvent; answers: BackendReport };
  /** The last event is an `end`. */
  explain: { asks: AnswerToExplain; events: ExplainEvent; answers: undefined };
}
