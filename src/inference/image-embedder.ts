import type { ModelManifest } from '../contract/manifest';
import type { ImageGeometry } from '../contract/run';
import { sha256Hex } from '../contract/sha256';
import { decodeImage } from './decode-image';
import { concatenate, type Decoder } from './decoder';
import type { Graph } from './graph';
import { type ModelImage, prepareImage } from './model-image';
import type { PromptTokenizer } from './prompt-tokenizer';
import { createRecent } from './recent';
import type { FloatTensor } from './tensor';

export interface EmbeddedImage {
  /** Of its contents. */
  readonly key: string;
  readonly geometry: ImageGeometry;
  /** [1, before + P, d]: the prompt up to its image, and the patches. */
  readonly prefix: FloatTensor;
}

/** An image as the language model's input. */
export type ImageEmbedder = (image: Blob) => Promise<EmbeddedImage>;

/** One image is often asked about and explained in turn with another. */
const keptImages = 2;

export function createImageEmbedder(
  vision: Graph,
  decoder: Decoder,
  tokenizer: PromptTokenizer,
  facts: ModelManifest['image'],
): ImageEmbedder {
  const recent = createRecent<EmbeddedImage>(keptImages);
  return async (image) => {
    const key = await sha256Hex(new Uint8Array(await image.arrayBuffer()));
    return recent.ensure(key, async () => {
      const { pixelValues, geometry } = await modelImageOf(image, facts);
      const pixels = { data: pixelValues, dims: [1, 3, facts.sizePx, facts.sizePx] };
      const { image_features } = await vision.run({ pixel_values: pixels }, ['image_features']);
      return { key, geometry, prefix: concatenate(await decoder.embed(tokenizer.before), image_features!) };
    });
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
