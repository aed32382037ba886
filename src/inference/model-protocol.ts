// The protocol of the embedded model's worker.
import type { ModelManifest } from '../contract/manifest';
import type { ExplainEvent } from '../contract/run';
import type { AnswerEvent, ImageQuestion } from './embedded-model';
import type { AnswerToExplain } from './explainer';
import type { LoadProgress } from './load-progress';
import type { OtherHeadMaps, OtherHeadRequest } from './other-head';
import type { TokenizerFiles } from './prompt-tokenizer';
import type { Backend, BackendChoice } from './runtime';

export interface LoadRequest {
  readonly modelUrl: string;
  readonly backend: BackendChoice;
  /** Fewer threads than the browser allows. */
  readonly maxThreads?: number;
}

export interface LoadedModel {
  readonly manifest: ModelManifest;
  /** The page tokenizes questions too, so that it can report problems while the user types. */
  readonly tokenizer: TokenizerFiles;
  readonly backend: Backend;
  readonly threads: number;
  readonly note: string | undefined;
}

/** Where the maps of an answer were computed. */
export interface BackendReport {
  readonly backend: Backend;
  readonly note: string | undefined;
}

export interface ModelProtocol {
  load: { request: LoadRequest; events: LoadProgress; response: LoadedModel };
  ask: { request: ImageQuestion; events: AnswerEvent; response: BackendReport };
  /** The last event is an `end`. */
  explain: { request: AnswerToExplain; events: ExplainEvent; response: undefined };
  /** Loads the head on first use. */
  headMaps: { request: OtherHeadRequest; response: OtherHeadMaps };
}
