import type { RunSource, SourceStatus } from '../source/run-source';
import type { StatisticsClient } from '../statistics/api';
import type { AskSession } from './ask-session';
import type { ExplainSession } from './explain-session';
import type { ImageIntake, ImageReader } from './image-intake';
import type { RecordedRuns } from './recorded-runs';
import type { PageFiles } from './sample-queries';

export type { RunSource, SourceStatus };

/** Everything views use that is not plain state; created once, in main. */
export interface Services extends RecordedRuns, ImageReader, PageFiles {
  readonly source: RunSource;
  readonly intake: ImageIntake;
  readonly asking: AskSession;
  readonly explaining: ExplainSession;
  readonly statistics: StatisticsClient;
  /** The embedded model's calibration; it applies to the recorded examples, whatever the source. */
  readonly recordedCalibrationUrl: string;
}
