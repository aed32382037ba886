import { useRef } from 'react';
import type { SampleImage } from '../../contract/samples-index';
import { useServices } from '../shared/services-context';

/** What the next question is about. */
export interface CurrentImage {
  readonly name: string;
  readonly url: string;
}

/** Sample images, and the ways to bring one of one's own. */
export function ImageTray(props: {
  readonly images: readonly SampleImage[];
  readonly current: CurrentImage | undefined;
}) {
  const { images, current } = props;
  const { samplesUrl, intake } = useServices();
  const picker = useRef<HTMLInputElement>(null);
  const isOwn = images.length > 0 && images.every((image) => image.file !== current?.name);
  return (
    <div className="tray">
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset draws a frame that has no place here */}
      <div className="tray-images" role="group" aria-label="Image to ask about">
        {images.map((image) => (
          <button
            key={image.file}
            type="button"
            className="tray-image"
            aria-pressed={current?.name === image.file}
            onClick={() => intake.takeUrl(`${samplesUrl}${image.file}`, image.file, image.alt)}
          >
            <img src={`${samplesUrl}${image.file}`} alt={image.alt} width={56} height={56} loading="lazy" />
          </button>
        ))}
        {isOwn && current && (
          <button type="button" className="tray-image" aria-pressed="true">
            <img src={current.url} alt={current.name} width={56} height={56} />
          </button>
        )}
      </div>
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
