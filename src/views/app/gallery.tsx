import { useQuery, useQueryClient } from '@tanstack/react-query';
import { memo, useState } from 'react';
import { isCut } from '../../contract/run';
import { type Choices, useChoices } from '../../state/choices';
import { type Keeping, useKeeping } from '../../state/kept-runs';
import { maxRuns } from '../../state/run-library';
import type { RunRecord } from '../../state/run-record';
import { recordedRunQuery, samplesIndexQuery } from '../../state/sample-queries';
import { useViewSettings } from '../../state/view-settings';
import { formatWhole } from '../../text/number-format';
import { shortened } from '../../text/visible-text';
import { useServices } from '../shared/services-context';
import { useRunSnapshot, useRuns } from '../shared/use-run';
import './gallery.css';

const selectUnkept = ({ unkept }: Keeping) => unkept;

const selectRunId = (choices: Choices) => choices.runId;

/** Recorded examples and the answers from this visit. */
export const Gallery = memo(function Gallery() {
  const services = useServices();
  const client = useQueryClient();
  const [, setSettings] = useViewSettings();
  const current = useChoices(selectRunId);
  const runs = useRuns();
  const unkept = useKeeping(selectUnkept);
  const { data: index } = useQuery(samplesIndexQuery(services));
  // The examples were recorded with the embedded model.
  const examples = (services.source.opensWith === 'recorded-run' && index?.runs) || [];
  const own = runs.filter((record) => !record.snapshot().header.recorded).reverse();

  const show = (id: string, file: string | null) => {
    services.intake.drop();
    useChoices.getState().showRun(id);
    void setSettings({ run: file });
    window.scrollTo({ top: 0 }); // the answer is above this list
  };
  const [opening, setOpening] = useState<string>();
  const openExample = (file: string) => {
    setOpening(file);
    const open = () =>
      client
        .fetchQuery(recordedRunQuery(services, file))
        .finally(() => setOpening((current) => (current === file ? undefined : current)));
    services.intake.takeRecorded(open, () => {
      void setSettings({ run: file });
      window.scrollTo({ top: 0 });
    });
  };

  if (services.source.opensWith === 'image' && own.length === 0) return null;
  return (
    <nav
      className="gallery"
      aria-label={services.source.opensWith === 'image' ? 'Previous answers' : 'Examples and previous answers'}
    >
      <h2 className="eyebrow">
        {own.length === 0 ? 'Recorded examples' : `Your answers${examples.length > 0 ? ' and recorded examples' : ''}`}
      </h2>
      {runs.length >= maxRuns && own.length > 0 && (
        <p className="gallery-note">The page holds {maxRuns} runs: each new answer now replaces the oldest.</p>
      )}
      {unkept > 0 && (
        <p className="gallery-note">
          {unkept === 1 ? 'One answer is' : `${formatWhole(unkept)} answers are`} only on this page, because the
          browser’s storage is full or not available: reloading or leaving the page loses {unkept === 1 ? 'it' : 'them'}
          .
        </p>
      )}
      <ul className="gallery-cards">
        {own.map((record) => (
          <li key={record.id}>
            <OwnCard record={record} isCurrent={record.id === current} onOpen={() => show(record.id, null)} />
          </li>
        ))}
        {examples.map((entry) => {
          const id = client.getQueryData(recordedRunQuery(services, entry.file).queryKey);
          return (
            <li key={entry.file}>
              <Card
                image={`${services.samplesUrl}${entry.image}`}
                title={entry.title}
                note={entry.file === opening ? 'Opening' : 'Recorded'}
                isCurrent={id !== undefined && id === current}
                onOpen={() => openExample(entry.file)}
              />
            </li>
          );
        })}
      </ul>
    </nav>
  );
});

/** A separate component, so that a new token re-renders only this card and not the list. */
function OwnCard(props: { readonly record: RunRecord; readonly isCurrent: boolean; onOpen(): void }) {
  const { record, isCurrent, onOpen } = props;
  const { header, tokens, end } = useRunSnapshot(record) ?? record.snapshot();
  const text = tokens.map((token) => token.text).join('');
  const note = `${end && isCut(end) ? 'Partial: ' : ''}${text.trim()}`;
  return (
    <Card
      image={record.imageUrls[0]!}
      title={header.question}
      note={shortened(note, 200)}
      isCurrent={isCurrent}
      onOpen={onOpen}
    />
  );
}

interface CardProps {
  readonly image: string;
  readonly title: string;
  readonly note: string;
  readonly isCurrent: boolean;
  onOpen(): void;
}

function Card({ image, title, note, isCurrent, onOpen }: CardProps) {
  return (
    <button type="button" className="card" aria-current={isCurrent || undefined} onClick={onOpen}>
      <img src={image} alt="" width={64} height={64} loading="lazy" />
      <span className="card-title" title={title}>
        {title}
      </span>
      <span className="card-note">{note}</span>
    </button>
  );
}
