// What the page asks the head's worker. The hidden states come from elsewhere.
import type { StateRows } from '../contract/run-rows';
import type { LoadProgress } from './load-progress';
import type { ModelFile } from './model-files';
import type { Backend, BackendChoice } from './runtime';

export interface HeadLoadRequest {
  /** Folder of the files, with the slash at the end; absolute. */
  readonly baseUrl: string;
  readonly graph: ModelFile;
  readonly normGraph: ModelFile;
  readonly weights: ModelFile;
  readonly hiddenSize: number;
  readonly backend: BackendChoice;
}

/** Where maps are made. */
export interface HeadReport {
  readonly backend: Backend;
  /** Why it is not WebGPU although it could have been. */
  readonly note: string | undefined;
}

/** [T, P] probabilities, with the time that the head took for all of them. */
export interface HeadMaps extends HeadReport {
  readonly values: Float32Array;
  readonly tokens: number;
  readonly computeMs: number;
}

export interface HeadQuestions {
  load: { asks: HeadLoadRequest; events: LoadProgress; answers: HeadReport };
  /** `image` numbers the image whose patches these are; it takes the place of the one before. */
  image: { asks: { readonly image: number; readonly patchStates: StateRows }; answers: undefined };
  maps: { asks: { readonly image: number; readonly queryStates: StateRows }; answers: HeadMaps };
}
