import type { StateRows, TokenStates } from './answer-states';
import type { MethodId } from './methods';

// The types of a run: one answer with everything that explains it. `run-stream.ts` parses Arrow bytes into them.

/** Whether hidden states were taken after the language model's final norm or before it. */
type HiddenStateStage = 'post_norm' | 'pre_norm';

export interface PatchGrid {
  readonly rows: number;
  readonly cols: number;
}

/** A rectangle in source-image pixels, with the origin at the top left; values may be fractional. */
interface SourceRect {
  readonly xPx: number;
  readonly yPx: number;
  readonly widthPx: number;
  readonly heightPx: number;
}

export type FrameName = 'image' | 'detail' | 'overview';

/** A part of a source image (`crop`) that was resized and read by the model as one patch grid. */
export interface Frame {
  /** The index of the image; undefined for the first. */
  readonly image?: number | undefined;
  readonly name: FrameName;
  /** May extend beyond the image if the preprocessing pads it. */
  readonly crop: SourceRect;
  readonly grid: PatchGrid;
  readonly modelWidthPx: number;
  readonly modelHeightPx: number;
}

/**
 * How patches map to the source images; the model did not see anything outside the frames. The size is that of the
 * first image.
 */
export interface ImageGeometry {
  readonly sourceWidthPx: number;
  readonly sourceHeightPx: number;
  /** A description for the page: "shorter side to 336 px, centre crop". */
  readonly preprocessing: string;
  /**
   * Those of the first image come first; of each image, the first is shown by default. A map holds one value per patch,
   * frame after frame, each row-major.
   */
  readonly frames: readonly [Frame, ...Frame[]];
}

interface TokenAlternative {
  readonly tokenId: number;
  readonly text: string;
  readonly logProb: number;
}

export interface AnswerToken {
  /** 0-based position in the answer. */
  readonly index: number;
  readonly tokenId: number;
  /** Includes the leading space, if any: "".concat(...texts) is the answer. */
  readonly text: string;
  /** 0-based index of the word; all tokens of a word share it. */
  readonly word: number;
  readonly logProb: number;
  /** Most likely first; includes the chosen token. */
  readonly alternatives: readonly TokenAlternative[];
}

/** A text token of the prompt, which includes the template's tokens. */
export interface PromptToken {
  readonly tokenId: number;
  readonly text: string;
}

export interface ModelFacts {
  readonly name: string;
  readonly revision: string;
  readonly hiddenSize: number;
  readonly stage: HiddenStateStage;
  /** One or two sentences: what it was trained on, what it can and cannot answer. */
  readonly knows: string;
  /** The architecture family: "LLaVA-1.5". */
  readonly family: string;
  /** Data type of weights and activations: "float32", "bfloat16". */
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
  /** Default threshold for the head's probabilities. */
  readonly classificationThreshold: number;
  /** The model whose hidden states the head was trained on. */
  readonly trainedOn?: { readonly name: string; readonly revision: string } | undefined;
  /**
   * Whether that is the model that answered: `other` if the head is used nevertheless, `unverified` if it cannot be
   * known. Undefined if the run does not say.
   */
  readonly match?: 'same' | 'unverified' | 'other' | undefined;
}

/** At temperature 0, decoding is greedy and the seed has no effect. */
interface Sampling {
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
}

/** `script`: computed in TypeScript by the page. */
export type MapBackend = 'webgpu' | 'wasm' | 'script' | 'python';

/** One relevancy map and its provenance. `values` holds one value per patch, frame after frame, each row-major. */
export interface RelevancyMap {
  readonly method: MethodId;
  readonly tokenIndex: number;
  readonly values: Float32Array;
  readonly backend: MapBackend;
  readonly computeMs: number;
  /** The head that computed the map, if it is not the one in the run's header. */
  readonly head?: HeadFacts;
  /** Relevancy of the text tokens in the unit of `values`, if the method, or the head of FastRM, provides it. */
  readonly text?: TextRelevancy;
  /**
   * DEX-AR's grounding weight: 0 for a token that attends only to text, and higher the more the token attends to the
   * image.
   */
  readonly grounding?: number;
}

/**
 * `prompt` [m] has one value per text token of the prompt; `answer` [t] has one value per earlier answer token.
 * FastRM's head says nothing about earlier answer tokens, so its `answer` is empty. Its probabilities for the prompt
 * are trained apart from those for the patches: the two have no common total.
 */
export interface TextRelevancy {
  readonly prompt: Float32Array;
  readonly answer: Float32Array;
}

/**
 * The cost of explaining all requested tokens. `peakBytes`, if known, is the peak memory beyond what was already in
 * use.
 */
export interface ExplainCost {
  readonly tokens: number;
  readonly ms: number;
  readonly forwardPasses: number;
  readonly backwardPasses: number;
  readonly peakBytes: number | undefined;
}

/**
 * Whether the explained pass reproduces the streamed answer. `isSame`: every token of the answer is as likely as when it
 * was streamed, within a bound for the model's dtype.
 * `largestDifference`: the largest difference between a token's log-probability in this pass and as streamed.
 */
export interface ReproductionCheck {
  readonly isSame: boolean;
  readonly largestDifference: number;
}

/** An image file as it was chosen or recorded. */
export interface StoredImage {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly mediaType: string;
  readonly name: string;
  /** Hash of `bytes`, in hexadecimal. */
  readonly sha256: string;
}

/**
 * What the page shows of an image file and the model reads: opaque, upright, still. `blob` is a file that every browser
 * decodes to the same pixels; the original file is never shown.
 */
export interface Picture {
  readonly blob: Blob;
  readonly widthPx: number;
  readonly heightPx: number;
}

export interface RunImage extends StoredImage {
  readonly picture: Picture;
}

/** A size in source-image pixels. */
export interface ImageSize {
  readonly widthPx: number;
  readonly heightPx: number;
}

/** What a question is about: one image, or several in the order in which the model reads them. */
export interface AskedImages {
  /** The first. */
  readonly image: RunImage;
  /** All of them, if there are several. */
  readonly images?: readonly RunImage[] | undefined;
}

export function imagesOf<Image>({
  image,
  images,
}: {
  readonly image: Image;
  readonly images?: readonly Image[] | undefined;
}): readonly Image[] {
  return images ?? [image];
}

/** The fields for one image or several; at least one. */
export function askedImages(images: readonly RunImage[]): AskedImages {
  const [image] = images;
  if (image === undefined) throw new Error('a question needs an image');
  return images.length > 1 ? { image, images } : { image };
}

/** Why a run has no FastRM maps. */
export interface NoHead {
  /** `unusable`: there is a head, but it could not be used. */
  readonly kind: 'absent' | 'unusable';
  /** A sentence. */
  readonly reason: string;
  /** The command that makes a head for the model. Undefined if it is not known, or if no head can be made. */
  readonly trainCommand?: string;
}

export interface RunHeader extends AskedImages {
  readonly formatVersion: 2;
  readonly id: string;
  readonly createdAt: string;
  /** As typed. */
  readonly question: string;
  /** The question that the model read, if a word was replaced by the model's word for it. */
  readonly askedAs?: string | undefined;
  readonly geometry: ImageGeometry;
  readonly model: ModelFacts;
  readonly head: HeadFacts | undefined;
  /** The FastRM+ head with whose weights the tokens' attention logits were computed; undefined if there are none. */
  readonly attentionLogitsOf?: Pick<HeadFacts, 'name' | 'revision'> | undefined;
  /** Why this run has no FastRM maps, if known. Set by the page, not stored in the file. */
  readonly noHead?: NoHead;
  readonly sampling: Sampling;
  /** True if the run was read from a file, false if it is live. */
  readonly recorded: boolean;
}

/** A run's header as its file has it, without the pictures made of the images. */
export interface StoredRunHeader extends Omit<RunHeader, keyof AskedImages> {
  readonly image: StoredImage;
  readonly images?: readonly (StoredImage & ImageSize)[] | undefined;
}

type RunEndReason = 'stop' | 'length' | 'cancelled' | 'failed' | 'truncated';

export interface RunEnd {
  readonly reason: RunEndReason;
  /** Time from the question to the last token. */
  readonly answerMs: number;
  readonly firstTokenMs: number;
  readonly message?: string;
}

/** Whether the answer was cut short rather than ended by the model or the token limit. */
export function isCut({ reason }: RunEnd): boolean {
  return reason === 'cancelled' || reason === 'failed' || reason === 'truncated';
}

/**
 * The events of a source, in order: `queued` while other questions are ahead, one `begin`, one `patch-states` if the
 * answer's states are kept, one `prompt` if the prompt's tokens are known, `token` and `map` as they arrive, one `end`.
 */
export type RunEvent =
  /** `before` is the number of questions ahead in the queue. */
  | { readonly type: 'queued'; readonly before: number }
  | { readonly type: 'begin'; readonly header: RunHeader }
  /** [P, d] */
  | { readonly type: 'patch-states'; readonly states: StateRows }
  | { readonly type: 'prompt'; readonly tokens: readonly PromptToken[] }
  | { readonly type: 'token'; readonly token: AnswerToken; readonly states?: TokenStates | undefined }
  | { readonly type: 'map'; readonly map: RelevancyMap }
  | { readonly type: 'end'; readonly end: RunEnd };

/** The events of a run file. */
export type StoredRunEvent =
  | { readonly type: 'begin'; readonly header: StoredRunHeader }
  | Exclude<RunEvent, { readonly type: 'begin' }>;

/**
 * The events of an explanation, in order: `queued` while other requests are ahead, one `check` if the method runs the
 * model, a `map` for each token as soon as it is ready, one `end`.
 */
export type ExplainEvent =
  | { readonly type: 'queued'; readonly before: number }
  | { readonly type: 'check'; readonly check: ReproductionCheck }
  | { readonly type: 'map'; readonly map: RelevancyMap }
  | { readonly type: 'end'; readonly reason: 'done' | 'cancelled'; readonly cost: ExplainCost };
