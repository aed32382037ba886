// What the page and the worker say to each other. Ids pair replies with requests; errors cross as data.
import type { ModelManifest } from '../contract/manifest';
import type { ExplainEvent } from '../contract/run';
import type { AnswerEvent, ImageQuestion } from './embedded-model';
import type { AnswerToExplain } from './explainer';
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

export interface LoadProgress {
  readonly loadedBytes: number;
  readonly totalBytes: number;
  readonly what: string;
}

export type WorkerRequest =
  | { readonly type: 'load'; readonly id: number; readonly load: LoadRequest }
  | { readonly type: 'ask'; readonly id: number; readonly asked: ImageQuestion }
  | { readonly type: 'explain'; readonly id: number; readonly asked: AnswerToExplain }
  /** Of the request with this id. */
  | { readonly type: 'cancel'; readonly id: number };

export type WorkerReply =
  | { readonly type: 'progress'; readonly id: number; readonly progress: LoadProgress }
  | { readonly type: 'loaded'; readonly id: number; readonly loaded: LoadedModel }
  | { readonly type: 'event'; readonly id: number; readonly event: AnswerEvent }
  /** After the last event. */
  | { readonly type: 'answered'; readonly id: number; readonly backend: Backend; readonly note: string | undefined }
  /** Its last one is an `end`. */
  | { readonly type: 'explained'; readonly id: number; readonly event: ExplainEvent }
  | { readonly type: 'failed'; readonly id: number; readonly reason: string };
