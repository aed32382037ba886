import { type FormEvent, memo, useEffect, useId, useRef } from 'react';
import { imagesOf, type RunHeader } from '../../contract/run';
import { type Asking, useAsking } from '../../state/ask-session';
import { useDraft } from '../../state/draft';
import { useIntake } from '../../state/image-intake';
import type { RunRecord } from '../../state/run-record';
import { sampleOf } from '../../state/sample-images';
import type { RunSource, SourceStatus } from '../../state/services';
import { firstClause } from '../../text/first-clause';
import { formatCount } from '../../text/number-format';
import { useServices } from '../shared/services-context';
import { useRunSnapshot, useSourceStatus } from '../shared/use-run';
import { useSampleImages } from '../shared/use-sample-images';
import { type CurrentImage, ImageTray } from './image-tray';
import { problemMessage } from './problem-message';
import { useIsQuiet } from './use-is-quiet';
import './ask-form.css';

interface AskFormProps {
  readonly record: RunRecord | undefined;
  /** Whether this is the first screen, which describes the model above the form. */
  readonly isStart?: boolean;
}

/** Questions that fit any images. */
const aboutSeveral = ['What do the images have in common?', 'What is different between the images?'];

export const AskForm = memo(function AskForm({ record, isStart = false }: AskFormProps) {
  const services = useServices();
  const { asking } = useAsking();
  const { isReading } = useIntake();
  const { text, image, more, problem, setText } = useDraft();
  const samples = useSampleImages();
  const messageId = useId();
  const input = useRef<HTMLInputElement>(null);
  const images = image === undefined ? runImages(record) : [image, ...more];
  const current = images.length === 1 ? images[0] : undefined;
  // While a new image is being read, the old image's suggestions would be asked about the new image.
  const sample = isReading ? undefined : sampleOf(samples.images, current);
  const { hints } = services.source;
  const general = images.length > 1 ? aboutSeveral : hints.suggestions;
  const suggestions = sample?.questions.length ? sample.questions : general;
  const isBusy = asking.phase !== 'idle';

  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    services.asking.ask(text);
    // Close a phone's keyboard, which would cover the answer, unless the question was rejected and needs editing.
    const isByTouch = window.matchMedia('(pointer: coarse)').matches;
    if (isByTouch && useDraft.getState().problem === undefined) input.current?.blur();
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
          {isStart ? 'Choose an image and ask about it' : 'Ask a question'}
        </h2>
        {!isStart && <ModelSummary header={record?.snapshot().header} />}
      </div>
      <ImageTray samples={samples} images={images} />
      <form className="ask-line" onSubmit={onSubmit}>
        <input
          ref={input}
          className="ask-input"
          aria-label={images.length > 1 ? 'Question about the images' : 'Question about the image'}
          aria-describedby={messageId}
          aria-invalid={problem?.kind === 'question'}
          placeholder={images.length > 1 ? 'Ask about the images' : hints.placeholder}
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
            Ask
            <svg viewBox="0 0 12 10" aria-hidden="true">
              <path d="M11 1v4.5H1.5M5 2 1.5 5.5 5 9" />
            </svg>
          </button>
        )}
      </form>
      <AskMessage id={messageId} />
      <ul className="suggestions" aria-label="Suggested questions">
        {suggestions.slice(0, 5).map((question) => (
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

/**
 * The current problem, or what the question is waiting for. A separate component, so that the form does not re-render
 * for every token.
 */
function AskMessage({ id }: { readonly id: string }) {
  const { source, library } = useServices();
  const { asking } = useAsking();
  const { problem } = useDraft();
  const status = useSourceStatus();
  const { isReading, isOpening } = useIntake();
  // The answer being written may not be the one on screen.
  const record = asking.phase === 'answering' && asking.runId !== undefined ? library.get(asking.runId) : undefined;
  const isQuiet = useIsQuiet(asking.phase === 'answering', useRunSnapshot(record));
  const isBad = problem !== undefined || status.phase === 'failed';
  return (
    <p id={id} className="ask-message" data-bad={isBad || undefined} role="status">
      {problem
        ? problemMessage(problem)
        : waitingNote(asking, status, { kind: source.kind, isQuiet, isImageDue: isReading || isOpening })}
    </p>
  );
}

function runImages(record: RunRecord | undefined): readonly CurrentImage[] {
  if (record === undefined) return [];
  return imagesOf(record.snapshot().header).map(({ name, sha256 }, at) => ({
    name,
    sha256,
    url: record.imageUrls[at]!,
  }));
}

/** A short description of the model that will answer; the footer has the full one. */
function ModelSummary({ header }: { readonly header: RunHeader | undefined }) {
  const { source } = useServices();
  // The examples were recorded with the embedded model; a companion's model is unknown until it connects.
  const model = source.model ?? (source.kind === 'embedded' ? header?.model : undefined);
  return <p className="ask-knows">{model && firstClause(model.knows)}</p>;
}

function waitingNote(
  asking: Asking,
  status: SourceStatus,
  { kind, isQuiet, isImageDue }: { kind: RunSource['kind']; isQuiet: boolean; isImageDue: boolean },
): string {
  if (status.phase === 'failed') {
    return kind === 'companion'
      ? `Not connected: ${status.reason}.`
      : `The model could not be loaded: ${status.reason}`;
  }
  if (isQuiet) return 'No new tokens for a while. If you stop, the answer so far is kept.';
  if (asking.phase !== 'queued') return '';
  switch (asking.until) {
    case 'image':
      return isImageDue ? 'Your question will be sent once the image has been read.' : '';
    case 'model':
      if (kind === 'companion') return 'Your question will be sent once the companion is connected.';
      return 'Your question will be sent once the model has loaded.';
    case 'turn':
      return `Queued: ${formatCount(asking.before, 'question', 'questions')} ahead of yours.`;
  }
}
