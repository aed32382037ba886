import { Button, FileTrigger } from 'react-aria-components';
import { dropOwnCalibration, takeCalibrationFile, useOwnCalibration } from '../../state/calibration-files';
import type { OpenCalibration } from '../../state/statistics-queries';
import { formatWhole } from '../../text/number-format';
import { useServices } from '../shared/services-context';

interface CalibrationSourceProps {
  readonly calibration: OpenCalibration | undefined;
  readonly isOwn: boolean;
}

/** Which table is looked at, and the way to another one. */
export function CalibrationSource({ calibration, isOwn }: CalibrationSourceProps) {
  const { statistics, source } = useServices();
  const { reading, problem } = useOwnCalibration();
  return (
    <section className="source" aria-label="Table of answers">
      <p className="source-facts">{calibration ? <Facts calibration={calibration} /> : ' '}</p>
      <p className="source-tools">
        <FileTrigger
          acceptedFileTypes={['.arrow', '.parquet', '.csv', '.feather']}
          onSelect={(files) => {
            const file = files?.[0];
            if (file) void takeCalibrationFile(statistics, file);
          }}
        >
          <Button className="tray-pick source-pick">
            <strong>Load a table of your own</strong>
            Parquet, Arrow, or CSV of entropy and correctness; or drop it here
          </Button>
        </FileTrigger>
        {isOwn && source.calibrationUrl !== undefined && (
          <button type="button" className="link-button" onClick={() => dropOwnCalibration(statistics)}>
            Back to the model’s own
          </button>
        )}
      </p>
      <p className="source-message" role="status" data-bad={problem !== undefined || undefined}>
        {problem ?? (reading !== undefined ? `Reading ${reading}…` : '')}
      </p>
    </section>
  );
}

function Facts({ calibration }: { readonly calibration: OpenCalibration }) {
  const { loaded, name } = calibration;
  const { facts, rows, right, wrong, unscored } = loaded;
  return (
    <>
      <strong>{name}</strong>: {formatWhole(rows)} answers, {formatWhole(right)} right and {formatWhole(wrong)} wrong
      {unscored > 0 && `, ${formatWhole(unscored)} without a verdict`}.{' '}
      {facts ? (
        <>
          Of {facts.model.name} <span className="mono">{facts.model.revision}</span>, head {facts.head.name}{' '}
          <span className="mono">{facts.head.revision}</span>, {facts.createdAt.slice(0, 10)}. {facts.data.about}
        </>
      ) : (
        'The file does not say of which model.'
      )}
    </>
  );
}
