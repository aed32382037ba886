import { useEffect } from 'react';
import { imagesOf } from '../../contract/run';
import { type Choices, useChoices } from '../../state/choices';
import type { ShownRun } from '../shared/use-shown-run';
import './image-choice.css';

const selectShownImage = (choices: Choices) => choices.shownImage;

/** Lets the user switch between the images of a question. Renders nothing if there is only one. */
export function ImageChoice({ shown }: { readonly shown: Pick<ShownRun, 'record' | 'run' | 'frame'> }) {
  const { record, run, frame } = shown;
  const switchedTo = useChoices(selectShownImage);
  // Patches are those of the image on screen, which changes with the selected token.
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the image changes
  useEffect(() => {
    if (frame.images === 1) return;
    return () => {
      useChoices.getState().pointPatch(undefined);
      useChoices.getState().pickPatch(undefined);
    };
  }, [record.id, frame.image]);
  if (frame.images === 1) return null;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would add an unwanted border
    <div className="image-choice" role="group" aria-label="Image shown">
      {imagesOf(run.header).map(({ name }, at) => (
        <button
          // biome-ignore lint/suspicious/noArrayIndexKey: the images of a run never change
          key={at}
          type="button"
          className="image-choice-button"
          aria-pressed={at === frame.image}
          title={name}
          onClick={() => useChoices.getState().showImage(at)}
        >
          <img src={record.imageUrls[at]} alt="" width={40} height={40} />
          Image {at + 1}
        </button>
      ))}
      {switchedTo === undefined ? (
        <span className="image-choice-note">The image on which the map peaks is shown.</span>
      ) : (
        <button type="button" className="link-button" onClick={() => useChoices.getState().showImage(undefined)}>
          Follow the map
        </button>
      )}
    </div>
  );
}
