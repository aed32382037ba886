import type { RunEvent, RunImage } from '../contract/run';
import type { StatisticsClient } from '../contract/statistics';
import type { RunSource, SourceStatus } from '../source/run-source';
import type { AskSession } from './ask-session';
import type { ExplainSession } from './explain-session';
import type { ImageIntake } from './image-intake';
import type { ImageShelf } from './image-shelf';
import type { RunLibrary } from './run-library';

export type { RunSource, SourceStatus };

export type ImageReading =
  | { readonly kind: 'image'; readonly image: RunImage; readonly widthPx: number; readonly heightPx: number }
  | { readonly kind: 'refused'; readonly reason: string };

/** What the views reach that is not plain state; made once, in main. */
export interface Services {
  readonly source: RunSource;
  readonly library: RunLibrary;
  readonly shelf: ImageShelf;
  readonly intake: ImageIntake;
  readonly asking: AskSession;
  readonly explaining: ExplainSession;
  /** Where the sample index and its files lie, with the slash at the end. */
  readonly samplesUrl: string;
  /** The embedded model's folder, with the slash at the end. */
  readonly modelUrl: string;
  readonly statistics: StatisticsClient;
  /** Of the embedded model's calibration: the recorded examples are its answers, whichever source there is. */
  readonly recordedCalibrationUrl: string;
  /** Checks before it decodes: kind, bytes and pixels. */
  readImage(file: Blob, name: string): Promise<ImageReading>;
  openRecorded(bytes: Uint8Array<ArrayBuffer>): AsyncIterable<RunEvent>;
}
