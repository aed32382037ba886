import { useCallback, useRef, useSyncExternalStore } from 'react';
import { type Draft, useDraft } from '../../state/draft';
import { sampleOf } from '../../state/sample-images';
import { useServices } from '../shared/services-context';
import type { SampleImages } from '../shared/use-sample-images';

/** An image that the next question is about. */
export interface CurrentImage {
  readonly name: string;
  readonly url: string;
  readonly sha256: string;
}

/** Sample images, and ways to choose your own. */
export function ImageTray(props: { readonly samples: SampleImages; readonly images: readonly CurrentImage[] }) {
  const { samples, images: chosen } = props;
  const current = chosen.length === 1 ? chosen[0] : undefined;
  const { folderUrl, images } = samples;
  const { intake, source } = useServices();
  // A boolean, so that the progress of loading a model does not re-render the tray.
  const isFailed = useSyncExternalStore(
    useCallback((onChange) => source.subscribe(onChange), [source]),
    () => source.status.phase === 'failed',
  );
  const maxImages = useSyncExternalStore(
    useCallback((onChange) => source.subscribe(onChange), [source]),
    () => source.maxImages,
  );
  const isAdding = useDraft(selectIsAdding);
  const picker = useRef<HTMLInputElement>(null);
  const isOwn = images.length > 0 && sampleOf(images, current) === undefined;
  // Reserves space for the samples while the model that they depend on is being loaded.
  const hasImages = images.length > 0 || current !== undefined || !isFailed;
  return (
    <div className="tray">
      {hasImages && (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset would add an unwanted border
        <div className="tray-images" role="group" aria-label="Image to ask about">
          {images.map((image) => (
            <button
              key={image.file}
              type="button"
              className="tray-image"
              aria-pressed={current?.sha256 === image.sha256}
              onClick={() => intake.takeUrl(`${folderUrl}${image.file}`, image.file, image.alt)}
            >
              <img src={`${folderUrl}${image.file}`} alt={image.alt} width={56} height={56} loading="lazy" />
            </button>
          ))}
          {isOwn && current && (
            <button type="button" className="tray-image" aria-pressed="true">
              <img src={current.url} alt={current.name} width={56} height={56} />
            </button>
          )}
        </div>
      )}
      <button type="button" className="tray-pick" onClick={() => picker.current?.click()}>
        <strong>{isAdding ? 'Choose the file to add' : 'Choose a file'}</strong>
        <span>or drop or paste an image</span>
      </button>
      {chosen.length > 1 && <ChosenImages images={chosen} />}
      {maxImages > 1 && chosen.length > 0 && (
        <button
          type="button"
          className="tray-add"
          aria-pressed={isAdding}
          disabled={chosen.length >= maxImages}
          onClick={() => useDraft.getState().setAdding(!isAdding)}
        >
          Add another image
        </button>
      )}
      <input
        ref={picker}
        type="file"
        accept="image/*,.run"
        hidden
        aria-label="Image file"
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) intake.takeFile(file);
          event.target.value = '';
        }}
      />
    </div>
  );
}

const selectIsAdding = ({ isAdding }: Draft) => isAdding;

/** The images of a question about several, in order. */
function ChosenImages({ images }: { readonly images: readonly CurrentImage[] }) {
  const { intake } = useServices();
  return (
    <ol className="tray-chosen" aria-label="Images of the question">
      {images.map(({ name, url }, at) => (
        <li key={url}>
          <img src={url} alt={name} width={56} height={56} />
          <span>Image {at + 1}</span>
          <button
            type="button"
            className="link-button"
            aria-label={`Remove image ${at + 1}, ${name}`}
            onClick={() => intake.remove(at)}
          >
            Remove
          </button>
        </li>
      ))}
    </ol>
  );
}
