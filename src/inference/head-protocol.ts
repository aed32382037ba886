// The protocol of the head's worker. The hidden states come from the companion.
import type { StateRows } from '../contract/answer-states';
import type { LoadProgress } from './load-progress';
import type { ModelFile } from './model-files';
import type { Backend, BackendChoice } from './runtime';

export interface HeadLoadRequest {
  /** Absolute URL of the files' folder, with a trailing slash. */
  readonly baseUrl: string;
  readonly graph: ModelFile;
  readonly normGraph: ModelFile;
  readonly weights: ModelFile;
  /** Null if the head has no output for words. */
  readonly textWeights: ModelFile | null;
  readonly hiddenSize: number;
  readonly backend: BackendChoice;
  /** Fewer threads than the browser allows. */
  readonly maxThreads?: number;
}

/** Where maps are computed. */
export interface HeadReport {
  readonly backend: Backend;
  /** Why WebGPU or the head's output for words is not used although it was an option. */
  readonly note: string | undefined;
}

/** Probabilities [T, P], and the total time that the head took. */
export interface HeadMaps extends HeadReport {
  readonly values: Float32Array;
  /** Probabilities [T, m] of the prompt's text tokens, if the head has a usable output for them. */
  readonly promptValues: Float32Array | undefined;
  readonly tokens: number;
  readonly computeMs: number;
}

export interface HeadProtocol {
  load: { request: HeadLoadRequest; events: LoadProgress; response: HeadReport };
  /** `image` identifies the image that the patches belong to; it replaces the previous image. */
  image: { request: { readonly image: number; readonly patchStates: StateRows }; response: undefined };
  /** The prompt about this image; it replaces the previous prompt. */
  prompt: { request: { readonly image: number; readonly promptStates: StateRows }; response: undefined };
  maps: { request: { readonly image: number; readonly queryStates: StateRows }; response: HeadMaps };
}
