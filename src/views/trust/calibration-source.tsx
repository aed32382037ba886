import { Button, FileTrigger } from 'react-aria-components';
import { dropOwnCalibration, stopReading, takeCalibrationFile, useOwnCalibration } from '../../state/calibration-files';
import type { OpenCalibration } from '../../state/statistics-queries';
import { formatCount, formatWhole } from '../../text/number-format';
import { useServices } from '../shared/services-context';

interface CalibrationSourceProps {
  readonly calibration: OpenCalibration | undefined;
  readonly isOwn: boolean;
}

/** Names the open calibration, and lets the user open another. */
export function CalibrationSource({ calibration, isOwn }: CalibrationSourceProps) {
  const { statistics, source } = useServices();
  const { file, isUnkept } = useOwnCalibration();
  return (
    <section className="source" aria-label="Table of answers">
      <p className="source-facts">{calibration ? <Facts calibration={calibration} /> : ' '}</p>
      <p className="source-tools">
        <FileTrigger
          acceptedFileTypes={['.arrow', '.arrows', '.ipc', '.feather', '.parquet', '.csv', '.tsv', '.txt', '.gz']}
          onSelect={(files) => {
            const file = files?.[0];
            if (file) void takeCalibrationFile(statistics, file);
          }}
        >
          <Button className="tray-pick source-pick">
            <strong>Load your own table</strong>
            Parquet, Arrow or CSV with entropy and correctness columns. You can also drop the file here.
          </Button>
        </FileTrigger>
        {isOwn && source.calibrationUrl !== undefined && (
          <button type="button" className="link-button" onClick={() => dropOwnCalibration(statistics)}>
            Back to the model’s calibration
          </button>
        )}
      </p>
      <p className="source-message" role="status" data-bad={file.phase === 'failed' || undefined}>
        {file.phase === 'failed' && file.reason}
        {file.phase === 'reading' && (
          <>
            Reading {file.name}…{' '}
            <button type="button" className="link-button" onClick={() => stopReading(statistics)}>
              Stop
            </button>
          </>
        )}
        {file.phase === 'none' && isOwn && isUnkept && 'This table is too large to keep: reloading the page loses it.'}
      </p>
    </section>
  );
}

function Facts({ calibration }: { readonly calibration: OpenCalibration }) {
  const { loaded, name } = calibration;
  const { facts, rows, right, wrong, unscored, notes } = loaded;
  return (
    <>
      <strong>{name}</strong>: {formatCount(rows, 'answer', 'answers')}, {formatWhole(right)} right and{' '}
      {formatWhole(wrong)} wrong
      {unscored > 0 && `, ${formatWhole(unscored)} not scored`}.{' '}
      {facts ? (
        <>
          Model {facts.model.name} <span className="mono">{facts.model.revision}</span>, head {facts.head.name}{' '}
          <span className="mono">{facts.head.revision}</span>, {facts.createdAt.slice(0, 10)}. {facts.data.about}
        </>
      ) : (
        'The file does not name its model.'
      )}
      {notes.map((note) => ` ${note}`)}
    </>
  );
}
