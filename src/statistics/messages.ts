// What the page and the statistics' worker say to each other.

import type { Failed } from '../workers/worker-link';
import type {
  AnswersLike,
  CalibrationFile,
  Distribution,
  DistributionRequest,
  Filtered,
  FilterRequest,
  LikeRequest,
  LoadedCalibration,
  MapEntropies,
  PoolingRequest,
  PoolingTable,
  RowsPage,
  RowsRequest,
  ThresholdReport,
  ThresholdRequest,
} from './api';

/** What may be asked, and what is answered. `table` is a loaded one's number. */
export interface Questions {
  /** The page numbers tables: a worker that takes the place of a dead one would begin again at 1. */
  load: { asks: CalibrationFile & { readonly table: number }; answers: LoadedCalibration };
  close: { asks: { readonly table: number }; answers: undefined };
  distribution: { asks: OfTable<DistributionRequest>; answers: Distribution };
  threshold: { asks: OfTable<ThresholdRequest>; answers: ThresholdReport };
  poolings: { asks: OfTable<PoolingRequest>; answers: PoolingTable };
  like: { asks: OfTable<LikeRequest>; answers: AnswersLike };
  filter: { asks: OfTable<FilterRequest>; answers: Filtered };
  rows: { asks: OfTable<RowsRequest>; answers: RowsPage };
  entropies: { asks: { readonly maps: Float32Array; readonly tokens: number }; answers: MapEntropies };
}

interface OfTable<Request> {
  readonly table: number;
  readonly request: Request;
}

export type QuestionType = keyof Questions;

export type StatisticsRequest = {
  [Type in QuestionType]: {
    readonly type: Type;
    readonly id: number;
    /** A request takes the place of those before it of the same key that wait or are under way. */
    readonly key: string | undefined;
    readonly asked: Questions[Type]['asks'];
  };
}[QuestionType];

export type StatisticsReply =
  | { readonly type: 'answer'; readonly id: number; readonly answer: Questions[QuestionType]['answers'] }
  /** Another request of its key took its place. */
  | { readonly type: 'superseded'; readonly id: number }
  | Failed;
