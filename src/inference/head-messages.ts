// What the page and the head's worker say to each other, where the hidden states come from elsewhere.
import type { StateRows } from '../contract/run-rows';
import type { Failed } from '../workers/worker-link';
import type { LoadProgress } from './messages';
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

export type HeadRequest =
  | { readonly type: 'load'; readonly id: number; readonly load: HeadLoadRequest }
  /** `image` numbers the image whose patches these are; it takes the place of the one before. */
  | { readonly type: 'image'; readonly id: number; readonly image: number; readonly patchStates: StateRows }
  | { readonly type: 'maps'; readonly id: number; readonly image: number; readonly queryStates: StateRows };

export type HeadReply =
  | { readonly type: 'progress'; readonly id: number; readonly progress: LoadProgress }
  | { readonly type: 'loaded'; readonly id: number; readonly report: HeadReport }
  | { readonly type: 'seen'; readonly id: number }
  | { readonly type: 'maps'; readonly id: number; readonly maps: HeadMaps }
  | Failed;
