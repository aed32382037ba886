import type { Photograph } from '../../contract/photographs-index';
import type { DraftImage } from '../../state/draft';
import { isPhotograph, sampleOf } from '../../state/sample-images';
import { useSampleImages } from '../shared/use-sample-images';
import { StillStage } from './still-stage';

/** The image to ask about. Until one has been read, the first sample image. */
export function DraftFigure({ image }: { readonly image: DraftImage | undefined }) {
  const { images, folderUrl } = useSampleImages();
  const sample = image ? sampleOf(images, image) : images[0];
  const photograph = sample && isPhotograph(sample) ? sample : undefined;
  const shown = image ?? (photograph && { ...photograph, name: photograph.file, url: folderUrl + photograph.file });
  return (
    <figure className="explain-figure">
      <StillStage image={shown} />
      <figcaption className="readout">
        {shown && (
          <>
            <p className="readout-title">{photograph?.title ?? shown.name}</p>
            <p className="readout-numbers mono">
              {shown.widthPx} × {shown.heightPx} px
            </p>
            <p className="readout-note">{photograph ? <Credit photograph={photograph} /> : 'No map yet.'}</p>
          </>
        )}
      </figcaption>
    </figure>
  );
}

function Credit({ photograph: { author, licence, source } }: { readonly photograph: Photograph }) {
  return (
    <>
      Photograph by{' '}
      <a className="link-button" href={source} target="_blank" rel="noreferrer">
        {author}
      </a>
      , {licence}.
    </>
  );
}
