import type { MethodId } from './methods';

// A run: one answer with all that explains it. These are the typed shapes; `run-stream.ts` turns Arrow bytes into them.

/** Where hidden states were taken: after the language model's final norm, or before it. */
type HiddenStateStage = 'post_norm' | 'pre_norm';

export interface PatchGrid {
  readonly rows: number;
  readonly cols: number;
}

/** A rectangle in source-image pixels, origin top left; may be fractional. */
interface SourceRect {
  readonly xPx: number;
  readonly yPx: number;
  readonly widthPx: number;
  readonly heightPx: number;
}

export type FrameName = 'image' | 'detail' | 'overview';

/** A part of the source image that the model read as one regular grid of patches: `crop` was resized to model pixels. */
export interface Frame {
  readonly name: FrameName;
  /** May reach past the image where the preprocessing pads. */
  readonly crop: SourceRect;
  readonly grid: PatchGrid;
  readonly modelWidthPx: number;
  readonly modelHeightPx: number;
}

/** How the model's patches came from the source image; what lies in no frame was not seen. */
export interface ImageGeometry {
  readonly sourceWidthPx: number;
  readonly sourceHeightPx: number;
  /** In words, for the page: "shorter side to 336 px, centre crop". */
  readonly preprocessing: string;
  /** The first is shown by default. A map has their patches one frame after the other, each row-major. */
  readonly frames: readonly [Frame, ...Frame[]];
}

interface TokenAlternative {
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

/** A text token of the prompt, the template's own included. */
export interface PromptToken {
  readonly tokenId: number;
  readonly text: string;
}

export interface ModelFacts {
  readonly name: string;
  readonly revision: string;
  readonly hiddenSize: number;
  readonly stage: HiddenStateStage;
  /** One or two plain sentences: what it was trained on, what it can and cannot answer. */
  readonly knows: string;
  /** The architecture's family: "LLaVA-1.5". */
  readonly family: string;
  /** Of weights and activations: "float32", "bfloat16". */
  readonly dtype: string;
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

/** Temperature 0 is greedy; the seed says nothing then. */
interface Sampling {
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
}

/** `script`: the page's own arithmetic. */
export type MapBackend = 'webgpu' | 'wasm' | 'script' | 'python';

/** One relevancy map with how it was made. `values` has the frames' patches one frame after the other, each row-major. */
export interface RelevancyMap {
  readonly method: MethodId;
  readonly tokenIndex: number;
  readonly values: Float32Array;
  readonly backend: MapBackend;
  readonly computeMs: number;
  /** In the unit of `values`, where the method weighs words too. */
  readonly text?: TextRelevancy;
  /** DEX-AR's token weight: 0 for a token that looks at the text alone, more the more it looks at the image. */
  readonly grounding?: number;
}

/** prompt [m], one value a text token of the prompt; answer [t], one value an answer token before this one. */
export interface TextRelevancy {
  readonly prompt: Float32Array;
  readonly answer: Float32Array;
}

/** What an explanation took, of all tokens that were asked for together. `peakBytes` above what was there before, where it is known. */
export interface ExplainCost {
  readonly tokens: number;
  readonly ms: number;
  readonly forwardPasses: number;
  readonly backwardPasses: number;
  readonly peakBytes: number | undefined;
}

/**
 * Whether the pass that was explained says what was streamed: at each place the likeliest token is the answer's or, in an
 * answer that was drawn, the answer's token is as likely as it was when it was streamed, as far as the model's numbers
 * tell. And by how much the log-probabilities of the answer's tokens differ at most.
 */
export interface ReproductionCheck {
  readonly isSame: boolean;
  readonly largestDifference: number;
}

export interface RunImage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly mediaType: string;
  readonly name: string;
  /** Of `bytes`, in hexadecimal. */
  readonly sha256: string;
}

/** Why answers come without maps, in a sentence, and where one helps, the command that trains a head. */
export interface NoMaps {
  readonly reason: string;
  readonly trainCommand?: string;
}

export interface RunHeader {
  readonly formatVersion: 2;
  readonly id: string;
  readonly createdAt: string;
  readonly question: string;
  readonly image: RunImage;
  readonly geometry: ImageGeometry;
  readonly model: ModelFacts;
  readonly head: HeadFacts | undefined;
  /** Where it is known why this run has no maps. Of the page, not of the file. */
  readonly noMaps?: NoMaps;
  readonly sampling: Sampling;
  /** True where it was read from a file, false where it was computed just now. */
  readonly recorded: boolean;
}

type RunEndReason = 'stop' | 'length' | 'cancelled' | 'failed' | 'truncated';

export interface RunEnd {
  readonly reason: RunEndReason;
  /** From the question being asked to the last token, in milliseconds. */
  readonly answerMs: number;
  readonly firstTokenMs: number;
  readonly message?: string;
}

/** Whether the answer stopped before the model or its limit ended it. */
export function isCut({ reason }: RunEnd): boolean {
  return reason === 'cancelled' || reason === 'failed' || reason === 'truncated';
}

/** What a source yields, in this order: `queued` while others are before it, one `begin`, one `prompt` where the prompt's tokens are known, `token` and `map` as they come, one `end`. */
export type RunEvent =
  /** So many questions are answered before this one. */
  | { readonly type: 'queued'; readonly before: number }
  | { readonly type: 'begin'; readonly header: RunHeader }
  | { readonly type: 'prompt'; readonly tokens: readonly PromptToken[] }
  | { readonly type: 'token'; readonly token: AnswerToken }
  | { readonly type: 'map'; readonly map: RelevancyMap }
  | { readonly type: 'end'; readonly end: RunEnd };

/** What explaining yields: `queued` while others are before it, one `check` where the method runs the model, `map` as they are done, one `end`. */
export type ExplainEvent =
  | { readonly type: 'queued'; readonly before: number }
  | { readonly type: 'check'; readonly check: ReproductionCheck }
  | { readonly type: 'map'; readonly map: RelevancyMap }
  | { readonly type: 'end'; readonly reason: 'done' | 'cancelled'; readonly cost: ExplainCost };
