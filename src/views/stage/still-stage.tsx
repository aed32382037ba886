import type { Bench } from '../shared/use-bench';
import type { StageImage } from './stage';

/** An image with no map: one to be asked about, or the example's before it has been read. */
export function StillStage({ image }: { readonly image: { readonly url: string; readonly alt: string } | undefined }) {
  return <div className="stage-box">{image && <img className="stage-still" src={image.url} alt={image.alt} />}</div>;
}

export function stageImage({ record, run }: Pick<Bench, 'record' | 'run'>): StageImage {
  const { geometry, image } = run.header;
  return {
    url: record.imageUrl,
    alt: `The image asked about: ${image.name}`,
    widthPx: geometry.sourceWidthPx,
    heightPx: geometry.sourceHeightPx,
  };
}
