import type { SamplesIndex } from '../contract/samples-index';
import type { RunSource } from './services';

export type SampleKind = 'scenes' | 'photographs';

/**
 * The kind of sample images that suits the model: rendered scenes for the embedded model's weights, wherever they run,
 * and photographs for all others. Undefined until it is known.
 */
export function sampleKind(
  source: Pick<RunSource, 'opensWith' | 'model' | 'weights'>,
  scenes: Pick<SamplesIndex, 'weights'> | undefined,
): SampleKind | undefined {
  if (source.opensWith === 'recorded-run') return 'scenes';
  if (source.model === undefined || scenes === undefined) return undefined;
  return source.weights === scenes.weights ? 'scenes' : 'photographs';
}
