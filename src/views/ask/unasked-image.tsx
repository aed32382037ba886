import { type Draft, type DraftImage, useDraft } from '../../state/draft';
import { useServices } from '../shared/services-context';
import { useOpeningExample, useOpensWithImage } from '../shared/use-opening-example';

const selectMore = ({ more }: Draft) => more;

/** Shown instead of an answer while a new image, or several, have no question yet. */
export function UnaskedImage({ image, hasRun }: { readonly image: DraftImage; readonly hasRun: boolean }) {
  const { intake } = useServices();
  const count = 1 + useDraft(selectMore).length;
  const subject = count === 1 ? image.name : `these ${count} images`;
  return (
    <section className="answer answer-empty" aria-label="Answer">
      <p className="eyebrow">{count === 1 ? 'New image' : 'New images'}</p>
      <p className="answer-question">
        What would you like to know about {subject}? Type a question below and press Enter.
      </p>
      {hasRun && (
        <p>
          <button type="button" className="link-button" onClick={() => intake.drop()}>
            Back to the previous answer
          </button>
        </p>
      )}
    </section>
  );
}

/** Shown instead of an answer while there is no run. */
export function EmptyAnswer() {
  const { error, retry } = useOpeningExample();
  if (useOpensWithImage())
    return (
      <section className="answer answer-empty" aria-label="Answer">
        <p className="eyebrow">No answer yet</p>
        <p className="answer-question">Choose an image and ask about it.</p>
      </section>
    );
  return (
    <section className="answer answer-empty" aria-label="Answer">
      <p className="eyebrow">{error ? 'No example' : 'Recorded example'}</p>
      <p className="answer-question">
        {error ? (
          <>
            The recorded example could not be read ({error.message}).{' '}
            <button type="button" className="link-button" onClick={retry}>
              Try again
            </button>
            , or choose an image and ask about it.
          </>
        ) : (
          ' '
        )}
      </p>
    </section>
  );
}
