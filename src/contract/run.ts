// A run: one answer with all that explains it. These are the typed shapes; `run-stream.ts` turns Arrow bytes into them.

/** Where hidden states were taken: after the language model's final norm, or before it. */
export type HiddenStateStage = 'post_norm' | 'pre_norm';

export interface PatchGrid {
  readonly rows: number;
  readonly cols: number;
}

/** A rectangle in source-image pixels, origin top left; may be fractional. */
export interface SourceRect {
  readonly xPx: number;
  readonly yPx: number;
  readonly widthPx: number;
  readonly heightPx: number;
}

/** How the model's image came from the source image: `crop` was resized to model pixels, the rest was not seen. */
export interface ImageGeometry {
  readonly sourceWidthPx: number;
  readonly sourceHeightPx: number;
  readonly modelWidthPx: number;
  readonly modelHeightPx: number;
  readonly crop: SourceRect;
  readonly grid: PatchGrid;
  /** In words, for the page: "shorter side to 336 px, centre crop". */
  readonly preprocessing: string;
}

export interface TokenAlternative {
  readonly tokenId: number;
  readonly text: string;
  readonly logProb: number;
}

export interface AnswerToken {
  /** 0-based place in the answer. */
  readonly index: number;
  readonly tokenId: number;
  /** As it reads in the answer, with its leading space if it has one: "".concat(...texts) is the answer. */
  readonly text: string;
  /** Sub-tokens of one word share this number; it grows by one a word. */
  readonly word: number;
  readonly logProb: number;
  /** Most likely first; holds the chosen token too. */
  readonly alternatives: readonly TokenAlternative[];
}

export interface ModelFacts {
  readonly name: string;
  readonly revision: string;
  readonly hiddenSize: number;
  readonly stage: HiddenStateStage;
  /** One or two plain sentences: what it was trained on, what it can and cannot answer. */
  readonly knows: string;
}

export interface HeadFacts {
  readonly name: string;
  readonly revision: string;
  readonly stage: HiddenStateStage;
  /** The method that the head imitates, e.g. "Chefer relevancy, exact". */
  readonly teacher: string;
  /** Patches at or above this share of the map's maximum were labelled relevant. */
  readonly labellingThreshold: number;
  /** Where the head's probabilities are read by default. */
  readonly classificationThreshold: number;
}

export type MapBackend = 'webgpu' | 'wasm' | 'python';

/** One relevancy map with how it was made. `values` is row-major over the grid, length rows*cols. */
export interface RelevancyMap {
  readonly method: 'FastRM';
  readonly tokenIndex: number;
  readonly values: Float32Array;
  readonly backend: MapBackend;
  readonly computeMs: number;
}

export interface RunImage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly mediaType: string;
  readonly name: string;
}

export interface RunHeader {
  readonly formatVersion: 1;
  readonly id: string;
  readonly createdAt: string;
  readonly question: string;
  readonly image: RunImage;
  readonly geometry: ImageGeometry;
  readonly model: ModelFacts;
  readonly head: HeadFacts | undefined;
  /** True where it was read from a file, false where it was computed just now. */
  readonly recorded: boolean;
}

export type RunEndReason = 'stop' | 'length' | 'cancelled' | 'failed' | 'truncated';

export interface RunEnd {
  readonly reason: RunEndReason;
  /** From the question being asked to the last token, in milliseconds. */
  readonly answerMs: number;
  readonly firstTokenMs: number;
  readonly message?: string;
}

/** What a source yields, in this order: one `begin`, then `token` and `map` as they come, then one `end`. */
export type RunEvent =
  | { readonly type: 'begin'; readonly header: RunHeader }
  | { readonly type: 'token'; readonly token: AnswerToken }
  | { readonly type: 'map'; readonly map: RelevancyMap }
  | { readonly type: 'end'; readonly end: RunEnd };
