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
  /** Its hash. */
  readonly key: string;
  readonly geometry: ImageGeometry;
  /** [1, before + P, d]: the prompt up to its image, and the patches. */
  readonly prefix: FloatTensor;
}

/** The hash is that of the bytes: an image that was embedded before is known by it. */
export interface HashedImage {
  readonly blob: Blob;
  readonly sha256: string;
}

/** An image as the language model's input. */
export type ImageEmbedder = (image: HashedImage) => Promise<EmbeddedImage>;

/** One image is often asked about and explained in turn with another. */
const keptImages = 2;

export function createImageEmbedder(
  vision: Graph,
  decoder: Decoder,
  tokenizer: PromptTokenizer,
  facts: ModelManifest['image'],
): ImageEmbedder {
  const recent = createRecent<EmbeddedImage>(keptImages);
  return async ({ blob, sha256: key }) => {
    const known = recent.get(key);
    if (known) return known;
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
