import * as z from 'zod/mini';
import { count, headFields, hiddenStateStage, sha256 } from './shared-fields';

const supportedFormat = 1;

const tokenId = z.int().check(z.nonnegative());
const threshold = z.number().check(z.gt(0), z.lt(1));
const rgb = z.tuple([z.number(), z.number(), z.number()]);
/** A path inside the model's folder: no scheme, no leading slash, no `..`. */
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
  /** Contains `<image>`, then `{question}`. */
  template: z.string().check(z.regex(/<image>[\s\S]*\{question\}/)),
  bosTokenId: tokenId,
  eosTokenId: tokenId,
  imageTokenId: tokenId,
  unkTokenId: tokenId,
  /** Tokens in the vocabulary that never occurred in training, so the model does not know them. */
  neverSeen: z.array(z.string()),
  /** Words that the model does not know, and its own words that mean the same about its images; keys are in lower case. */
  synonyms: z.record(z.string(), z.string()),
  maxQuestionTokens: count,
  maxNewTokens: count,
  /** An unknown word is looked up again in lower case, then capitalised. */
  caseFallback: z.literal('lower'),
});

const head = z.object({
  graph: relativePath,
  /** Normalises an image's patches; runs once per image. */
  normGraph: relativePath,
  weights: relativePath,
  /** The graph's weights for the prompt's tokens. */
  textWeights: z.optional(relativePath),
  ...headFields,
  labellingThreshold: threshold,
  classificationThreshold: threshold,
  hiddenSize: count,
});

const files = z.record(relativePath, z.object({ sha256, bytes: count }));

/** A head besides FastRM's. It shares that head's `normGraph`, which depends on the hidden size only. */
const otherHead = {
  graph: relativePath,
  weights: relativePath,
  ...headFields,
  labellingThreshold: threshold,
  classificationThreshold: threshold,
  hiddenSize: count,
  /** Loaded on first use. */
  files,
};

/**
 * What FastRM+ adds to the logit of patch j: the sum of `weights[f] * log(a[f][j] + epsilon)`, where `a[f][j]` is the
 * attention that the position that predicted the token pays to the patch in layer and attention head f.
 */
const attention = z.object({
  /** One per layer and attention head: all of the first layer, then all of the next. */
  weights: z.array(z.number()),
  epsilon: z.number().check(z.positive()),
});

const otherHeads = z.object({
  'fastrm-paper': z.optional(z.object(otherHead)),
  'fastrm-plus': z.optional(z.object({ ...otherHead, attention })),
});

const layer = z.int().check(z.nonnegative());

/** Graphs that explain answers by gradients and attention. Their files are loaded on first use. */
const explain = z.object({
  /** Runs one pass over prompt and answer; its outputs are named like the other graphs' inputs. */
  trace: relativePath,
  graphs: z.object({
    chefer: relativePath,
    gradcam: relativePath,
    'feature-gradcam': relativePath,
    'dex-ar': relativePath,
    attention: relativePath,
  }),
  /** The weights shared by all these graphs. This file is listed in the model's `files`, not in `files` below. */
  weights: relativePath,
  /** lm_head's rows [V, d] in fp16. */
  unembedding: relativePath,
  /** 0-based layer whose features feature GradCAM reads. */
  featureLayer: layer,
  /** The first layer that DEX-AR reads. */
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
  otherHeads: z.optional(otherHeads),
  tokenizer: z.tuple([relativePath, relativePath]),
  files,
  explain: z.optional(explain),
});

export type ExplainFacts = z.infer<typeof explain>;

/** What a model's folder contains and how to use it; `files` lists every file loaded at the start, with its hash. */
export type ModelManifest = z.infer<typeof manifest>;

/** Throws an error that names the invalid or contradictory fields, if any. */
export function parseManifest(data: unknown): ModelManifest {
  const version = z.object({ formatVersion: z.unknown() }).safeParse(data);
  if (version.success && version.data.formatVersion !== supportedFormat)
    throw new Error(
      `the model's manifest has format version ${JSON.stringify(version.data.formatVersion)}; this page supports ${supportedFormat}`,
    );
  const result = manifest.safeParse(data);
  if (!result.success) throw new Error(`the model's manifest is invalid: ${z.prettifyError(result.error)}`);
  const problem = problemIn(result.data);
  if (problem !== undefined) throw new Error(`the model's manifest is invalid: ${problem}`);
  return result.data;
}

function problemIn(manifest: ModelManifest): string | undefined {
  const { model, image, head, otherHeads = {}, graphs, tokenizer, files, explain } = manifest;
  const others = Object.values(otherHeads).filter((other) => other !== undefined);
  for (const { name, stage, hiddenSize } of [head, ...others]) {
    if (stage !== model.hiddenStateStage)
      return `head ${name} expects ${stage} hidden states, but the model returns ${model.hiddenStateStage}`;
    if (hiddenSize !== model.hiddenSize)
      return `head ${name} expects hidden size ${hiddenSize}, but the model's is ${model.hiddenSize}`;
  }
  const plus = otherHeads['fastrm-plus'];
  // Attention heads share key-value heads evenly.
  const rows = model.layers * model.kvHeads;
  const weights = plus?.attention.weights.length ?? rows;
  if (weights === 0 || weights % rows !== 0)
    return `head ${plus?.name} has ${weights} attention weights, but the model's number of attention rows is a multiple of ${rows}`;
  const { grid, patchPx, sizePx } = image;
  if (grid.rows * patchPx !== sizePx || grid.cols * patchPx !== sizePx)
    return `a ${grid.rows}x${grid.cols} grid of ${patchPx} px patches does not fill ${sizePx} px`;
  const loadedAtStart = [...Object.values(graphs), head.graph, head.normGraph, head.weights, ...tokenizer];
  if (head.textWeights !== undefined) loadedAtStart.push(head.textWeights);
  if (explain) loadedAtStart.push(explain.weights);
  const loadedLater = explain ? [explain.trace, ...Object.values(explain.graphs), explain.unembedding] : [];
  const unlisted = [
    ...loadedAtStart.filter((path) => !(path in files)),
    ...loadedLater.filter((path) => !(path in (explain?.files ?? {}))),
    ...others.flatMap((other) => [other.graph, other.weights].filter((path) => !(path in other.files))),
  ];
  return unlisted.length > 0 ? `no hash for ${unlisted.join(', ')}` : undefined;
}
