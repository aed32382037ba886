// The protocol of the head's worker. The hidden states come from the companion.
import type { StateRows } from '../contract/run-rows';
import type { LoadProgress } from './load-progress';
import type { ModelFile } from './model-files';
import type { Backend, BackendChoice } from './runtime';

export interface HeadLoadRequest {
  /** Absolute URL of the files' folder, with a trailing slash. */
  readonly baseUrl: string;
  readonly graph: ModelFile;
  readonly normGraph: ModelFile;
  readonly weights: ModelFile;
  readonly hiddenSize: number;
  readonly backend: BackendChoice;
  /** Fewer threads than the browser allows. */
  readonly maxThreads?: number;
}

/** Where maps are computed. */
export interface HeadReport {
  readonly backend: Backend;
  /** Why WebGPU is not used although it was an option. */
  readonly note: string | undefined;
}

/** Probabilities [T, P], and the total time that the head took. */
export interface HeadMaps extends HeadReport {
  readonly values: Float32Array;
  readonly tokens: number;
  readonly computeMs: number;
}

export interface HeadProtocol {
  load: { request: HeadLoadRequest; events: LoadProgress; response: HeadReport };
  /** `image` identifies the image that the patches belong to; it replaces the previous image. */
  image: { request: { readonly image: number; readonly patchStates: StateRows }; response: undefined };
  maps: { request: { readonly image: number; readonly queryStates: StateRows }; response: HeadMaps };
}
