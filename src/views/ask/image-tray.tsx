import { useCallback, useRef, useSyncExternalStore } from 'react';
import { sampleOf } from '../../state/sample-images';
import { useServices } from '../shared/services-context';
import type { SampleImages } from '../shared/use-sample-images';

/** The image that the next question is about. */
export interface CurrentImage {
  readonly name: string;
  readonly url: string;
  readonly sha256: string;
}

/** Sample images, and ways to add your own. */
export function ImageTray(props: { readonly samples: SampleImages; readonly current: CurrentImage | undefined }) {
  const { samples, current } = props;
  const { folderUrl, images } = samples;
  const { intake, source } = useServices();
  // A boolean, so that the progress of loading a model does not re-render the tray.
  const isFailed = useSyncExternalStore(
    useCallback((onChange) => source.subscribe(onChange), [source]),
    () => source.status.phase === 'failed',
  );
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
        <strong>Choose a file</strong>
        <span>or drop or paste an image</span>
      </button>
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
