import { useQuery } from '@tanstack/react-query';
import { type FormEvent, memo, useEffect, useId, useRef } from 'react';
import { type Asking, useAsking } from '../state/ask-session';
import { useDraft } from '../state/draft';
import { useIntake } from '../state/image-intake';
import type { RunRecord } from '../state/run-record';
import { samplesIndexQuery } from '../state/sample-queries';
import type { SourceStatus } from '../state/services';
import { ImageTray } from './image-tray';
import { problemMessage } from './problem-message';
import { useServices } from './services-context';
import { useSourceStatus } from './use-run';
import './ask-form.css';

/** Where an image has no suggestions of its own. */
const suggestions = ['How many objects are there?', 'What color is the large sphere?', 'Describe the image.'];

export const AskForm = memo(function AskForm({ record }: { readonly record: RunRecord | undefined }) {
  const services = useServices();
  const { asking } = useAsking();
  const status = useSourceStatus();
  const { isReading } = useIntake();
  const { text, image, problem, setText } = useDraft();
  const { data: index } = useQuery(samplesIndexQuery(services));
  const messageId = useId();
  const input = useRef<HTMLInputElement>(null);
  const imageName = image?.name ?? record?.snapshot().header.image.name;
  // The suggestions of one image would be asked about the next.
  const sample = isReading ? undefined : index?.images.find((entry) => entry.file === imageName);
  const isBusy = asking.phase !== 'idle';
  const isBad = problem !== undefined || status.phase === 'failed';
  const note = problem ? problemMessage(problem) : waitingNote(asking, status, isReading);

  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    services.asking.ask(text);
  };

  useEffect(() => {
    if (!isBusy) return;
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === 'Escape') services.asking.stop();
    };
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, [isBusy, services]);

  return (
    <section className="ask" aria-labelledby="ask-heading">
      <div className="ask-head">
        <h2 id="ask-heading" className="eyebrow">
          Ask your own
        </h2>
        <p>It knows rendered spheres, cubes and cylinders, not photographs.</p>
      </div>
      <ImageTray images={index?.images ?? []} currentName={imageName} />
      <form className="ask-line" onSubmit={onSubmit}>
        <input
          ref={input}
          className="ask-input"
          aria-label="Question about the image"
          aria-describedby={messageId}
          aria-invalid={problem?.kind === 'question'}
          placeholder="What color is the small cube?"
          autoComplete="off"
          enterKeyHint="send"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        {isBusy ? (
          <button type="button" className="ask-button" onClick={() => services.asking.stop()}>
            Stop <kbd>Esc</kbd>
          </button>
        ) : (
          <button type="submit" className="ask-button">
            Ask <kbd>↵</kbd>
          </button>
        )}
      </form>
      <p id={messageId} className="ask-message" data-bad={isBad || undefined} role="status">
        {note}
      </p>
      <ul className="suggestions" aria-label="Suggested questions">
        {(sample?.questions.length ? sample.questions : suggestions).slice(0, 5).map((question) => (
          <li key={question}>
            <button
              type="button"
              className="suggestion"
              onClick={() => {
                setText(question);
                services.asking.ask(question);
              }}
            >
              {question}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
});

function waitingNote(asking: Asking, status: SourceStatus, isReading: boolean): string {
  if (status.phase === 'failed') return `The model did not load: ${status.reason}`;
  if (asking.phase !== 'queued') return '';
  if (asking.until === 'model') return 'It will be asked as soon as the model has loaded.';
  return isReading ? 'It will be asked as soon as the image has been read.' : '';
}
