import type { ShownRun } from '../shared/use-shown-run';
import type { StageImage } from './map-stage';

/** An image without a map: a new image, or the example's image while its run loads. */
export function StillStage({ image }: { readonly image: { readonly url: string; readonly alt: string } | undefined }) {
  return <div className="stage-box">{image && <img className="stage-still" src={image.url} alt={image.alt} />}</div>;
}

export function stageImage({ record, run }: Pick<ShownRun, 'record' | 'run'>): StageImage {
  const { geometry, image } = run.header;
  return {
    url: record.imageUrl,
    alt: `Image: ${image.name}`,
    widthPx: geometry.sourceWidthPx,
    heightPx: geometry.sourceHeightPx,
  };
}
