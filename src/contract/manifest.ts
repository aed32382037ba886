import * as z from 'zod/mini';
import { count, headFields, hiddenStateStage, sha256 } from './shared-fields';

const supportedFormat = 1;

const tokenId = z.int().check(z.nonnegative());
const threshold = z.number().check(z.gt(0), z.lt(1));
const rgb = z.tuple([z.number(), z.number(), z.number()]);
/** Inside the model's own folder: no scheme, no leading slash, no way up. */
const relativePath = z.string().check(z.regex(/^(?!.*\.\.)[\w-][\w./-]*$/));

const model = z.object({
  hiddenSize: count,
  layers: count,
  kvHeads: count,
  headDim: count,
  vocabularySize: count,
  maxPositions: count,
  hiddenStateStage,
});

const image = z.object({
  sizePx: count,
  patchPx: count,
  grid: z.object({ rows: count, cols: count }),
  mean: rgb,
  std: rgb,
  resample: z.literal('bicubic'),
  crop: z.literal('center'),
  description: z.string(),
});

const prompt = z.object({
  /** With `<image>` before `{question}`. */
  template: z.string().check(z.regex(/<image>[\s\S]*\{question\}/)),
  bosTokenId: tokenId,
  eosTokenId: tokenId,
  imageTokenId: tokenId,
  unkTokenId: tokenId,
  /** Tokens that the vocabulary has and training never showed: to the model they mean nothing. */
  neverSeen: z.array(z.string()),
  maxQuestionTokens: count,
  maxNewTokens: count,
  /** A word unknown as typed is tried in lower case, then with a capital. */
  caseFallback: z.literal('lower'),
});

const head = z.object({
  graph: relativePath,
  /** Normalises an image's patches, once an image. */
  normGraph: relativePath,
  weights: relativePath,
  ...headFields,
  labellingThreshold: threshold,
  classificationThreshold: threshold,
  hiddenSize: count,
});

const files = z.record(relativePath, z.object({ sha256, bytes: count }));

const layer = z.int().check(z.nonnegative());

/** How answers are explained by gradients and attention. Its own files are read when that is first asked for. */
const explain = z.object({
  /** One pass over prompt and answer, which leaves what the other graphs take, by their inputs' names. */
  trace: relativePath,
  graphs: z.object({
    chefer: relativePath,
    gradcam: relativePath,
    'feature-gradcam': relativePath,
    'dex-ar': relativePath,
    attention: relativePath,
  }),
  /** All of these graphs' weights; one of the model's own files. */
  weights: relativePath,
  /** lm_head's rows [V, d] in fp16. */
  unembedding: relativePath,
  /** Whose features feature GradCAM reads, the first being 0. */
  featureLayer: layer,
  /** Where DEX-AR begins. */
  firstLensLayer: layer,
  files,
});

const manifest = z.object({
  formatVersion: z.literal(supportedFormat),
  name: z.string(),
  revision: z.string(),
  licence: z.string(),
  knows: z.string(),
  model,
  image,
  prompt,
  graphs: z.object({ vision: relativePath, embed: relativePath, decoder: relativePath }),
  head,
  tokenizer: z.tuple([relativePath, relativePath]),
  files,
  explain: z.optional(explain),
});

export type ExplainFacts = z.infer<typeof explain>;

/** What a model's folder holds and how it is used; `files` has every file that is read at the start, with its hash. */
export type ModelManifest = z.infer<typeof manifest>;

/** Throws with the places that do not fit, or with what does not fit together. */
export function parseManifest(data: unknown): ModelManifest {
  const version = z.object({ formatVersion: z.unknown() }).safeParse(data);
  if (version.success && version.data.formatVersion !== supportedFormat)
    throw new Error(
      `the model's manifest has format version ${JSON.stringify(version.data.formatVersion)}; this page reads ${supportedFormat}`,
    );
  const result = manifest.safeParse(data);
  if (!result.success) throw new Error(`the model's manifest: ${z.prettifyError(result.error)}`);
  const fault = faultOf(result.data);
  if (fault !== undefined) throw new Error(`the model's manifest: ${fault}`);
  return result.data;
}

function faultOf({ model, image, head, graphs, tokenizer, files, explain }: ModelManifest): string | undefined {
  if (head.stage !== model.hiddenStateStage)
    return `head ${head.name} reads ${head.stage} hidden states, the model gives ${model.hiddenStateStage}`;
  if (head.hiddenSize !== model.hiddenSize)
    return `head ${head.name} reads hidden size ${head.hiddenSize}, the model gives ${model.hiddenSize}`;
  const { rows, cols } = image.grid;
  if (rows * image.patchPx !== image.sizePx || cols * image.patchPx !== image.sizePx)
    return `a ${rows}x${cols} grid of ${image.patchPx} px patches does not fill ${image.sizePx} px`;
  const needed = [...Object.values(graphs), head.graph, head.normGraph, head.weights, ...tokenizer];
  if (explain) needed.push(explain.weights);
  const later = explain ? [explain.trace, ...Object.values(explain.graphs), explain.unembedding] : [];
  const unlisted = [
    ...needed.filter((path) => !(path in files)),
    ...later.filter((path) => !(path in (explain?.files ?? {}))),
  ];
  return unlisted.length > 0 ? `no hash for ${unlisted.join(', ')}` : undefined;
}
