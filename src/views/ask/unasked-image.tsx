import { useServices } from '../shared/services-context';
import { useOpeningExample } from '../shared/use-opening-example';

/** In the answer's place while a new image waits for its first question. */
export function UnaskedImage({ name, hasRun }: { readonly name: string; readonly hasRun: boolean }) {
  const { intake } = useServices();
  return (
    <section className="answer answer-empty" aria-label="Answer">
      <p className="eyebrow">New image</p>
      <p className="answer-question">What do you want to know about {name}? Type a question below, and press Enter.</p>
      {hasRun && (
        <p>
          <button type="button" className="link-button" onClick={() => intake.drop()}>
            Back to the former answer
          </button>
        </p>
      )}
    </section>
  );
}

/** In the answer's place while there is no run. */
export function EmptyAnswer() {
  const { error } = useOpeningExample();
  return (
    <section className="answer answer-empty" aria-label="Answer">
      <p className="eyebrow">{error ? 'No example' : 'Recorded example'}</p>
      <p className="answer-question">
        {error ? `The recorded example could not be read (${error.message}). You can still ask.` : ' '}
      </p>
    </section>
  );
}
