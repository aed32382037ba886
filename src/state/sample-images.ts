import type { Photograph } from '../contract/photographs-index';
import type { SampleImage, SamplesIndex } from '../contract/samples-index';
import type { RunSource } from './services';

export type SampleKind = 'scenes' | 'photographs';

/**
 * The kind of sample images that suits the model: rendered scenes for the embedded model's weights, wherever they run,
 * and photographs for all others. Undefined until it is known.
 */
export function sampleKind(
  source: Pick<RunSource, 'opensWith' | 'model' | 'weights'>,
  scenes: Pick<SamplesIndex, 'weights'> | 'failed' | undefined,
): SampleKind | undefined {
  if (source.opensWith === 'recorded-run') return 'scenes';
  if (source.model === undefined || scenes === undefined) return undefined;
  if (scenes === 'failed') return 'photographs';
  return source.weights === scenes.weights ? 'scenes' : 'photographs';
}

export function isPhotograph(sample: SampleImage | Photograph): sample is Photograph {
  return 'author' in sample;
}

/** The sample that is the same image, whatever the image's file is called. */
export function sampleOf(
  samples: readonly (SampleImage | Photograph)[],
  image: { readonly name: string; readonly sha256: string } | undefined,
): SampleImage | Photograph | undefined {
  return samples.find(({ sha256 }) => sha256 === image?.sha256);
}
