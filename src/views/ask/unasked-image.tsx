import { useServices } from '../shared/services-context';
import { useOpeningExample, useOpensWithImage } from '../shared/use-opening-example';

/** Shown instead of an answer while a new image has no question yet. */
export function UnaskedImage({ name, hasRun }: { readonly name: string; readonly hasRun: boolean }) {
  const { intake } = useServices();
  return (
    <section className="answer answer-empty" aria-label="Answer">
      <p className="eyebrow">New image</p>
      <p className="answer-question">
        What would you like to know about {name}? Type a question below and press Enter.
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
