import { imagesOf } from '../../contract/run';
import type { ShownRun } from '../shared/use-shown-run';
import type { StageImage } from './map-stage';

/** An image without a map: a new image, or the example's image while its run loads. */
export function StillStage({ image }: { readonly image: { readonly url: string; readonly alt: string } | undefined }) {
  return <div className="stage-box">{image && <img className="stage-still" src={image.url} alt={image.alt} />}</div>;
}

export function stageImage({ record, run, frame }: Pick<ShownRun, 'record' | 'run' | 'frame'>): StageImage {
  const { name } = imagesOf(run.header)[frame.image]!;
  return {
    url: record.imageUrls[frame.image]!,
    alt: frame.images > 1 ? `Image ${frame.image + 1}: ${name}` : `Image: ${name}`,
    widthPx: frame.placement.sourceWidthPx,
    heightPx: frame.placement.sourceHeightPx,
  };
}
