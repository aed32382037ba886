import type { ModelManifest } from '../contract/manifest';
import type { ImageGeometry } from '../contract/run';
import { createRecent } from '../workers/recent';
import { decodeImage } from './decode-image';
import { concatenate, type Decoder } from './decoder';
import type { Graph } from './graph';
import { type ModelImage, prepareImage } from './model-image';
import type { PromptTokenizer } from './prompt-tokenizer';
import type { FloatTensor } from './tensor';

interface EmbeddedImage {
  /** The image's hash. */
  readonly key: string;
  readonly geometry: ImageGeometry;
  /** [1, before + P, d]: the prompt before the image, and the patches. */
  readonly prefix: FloatTensor;
}

/** `blob` is a picture; `sha256`, the hash of the file that it was made of, is the cache key. */
export interface HashedImage {
  readonly blob: Blob;
  readonly sha256: string;
}

/** Embeds an image as input for the language model. */
export type ImageEmbedder = (image: HashedImage) => Promise<EmbeddedImage>;

/** The user often alternates between two images. */
const maxImages = 2;

export function createImageEmbedder(
  vision: Graph,
  decoder: Decoder,
  tokenizer: PromptTokenizer,
  facts: ModelManifest['image'],
): ImageEmbedder {
  const recent = createRecent<EmbeddedImage>(maxImages);
  return async ({ blob, sha256: key }) => {
    const cached = recent.get(key);
    if (cached) return cached;
    const { pixelValues, geometry } = await modelImageOf(blob, facts);
    const pixels = { data: pixelValues, dims: [1, 3, facts.sizePx, facts.sizePx] };
    const { image_features } = await vision.run({ pixel_values: pixels }, ['image_features']);
    const prefix = concatenate(await decoder.embed(tokenizer.before), image_features!);
    return recent.keep(key, { key, geometry, prefix });
  };
}

async function modelImageOf(image: Blob, facts: ModelManifest['image']): Promise<ModelImage> {
  const pixels = await decodeImage(image);
  try {
    return prepareImage(pixels, facts);
  } finally {
    pixels.destroy();
  }
}
