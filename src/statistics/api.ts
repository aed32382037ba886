// Requests for a calibration's statistics and their results, which the worker computes and views draw. All are plain
// data that can be posted between page and worker unchanged. To add a statistic, add a line to `TableStatistics` and a
// function in calibration.ts.

import type { CalibrationFacts } from '../contract/calibration';
import type { TableEntropy } from '../contract/calibration-table';
import type { NearestAnswers } from '../math/statistics/answers-like';
import type { AurocInterval } from '../math/statistics/auroc';
import type { RightSide, ThresholdFigures } from '../math/statistics/calibration-threshold';
import type { ClassDensity } from '../math/statistics/class-density';
import type { GroupedAuroc } from '../math/statistics/grouped-auroc';
import type { Histogram } from '../math/statistics/histogram';
import type { Pooling } from '../math/statistics/pooling';

/** A file as received: `name` is used only in messages and to detect CSV. */
export interface CalibrationFile {
  readonly name: string;
  readonly bytes: ArrayBuffer;
}

/** A table held by the worker; valid until closed. */
export interface LoadedCalibration {
  readonly table: number;
  readonly facts: CalibrationFacts | undefined;
  readonly rows: number;
  readonly isPooled: boolean;
  /** Entropies in the file, in display order; the first is the default. */
  readonly entropies: readonly TableEntropy[];
  readonly hasLogProbs: boolean;
  readonly hasContent: boolean;
  readonly hasLengths: boolean;
  /** Names of the categories, in the file's order. */
  readonly sets: readonly string[];
  readonly kinds: readonly string[];
  readonly varieties: readonly string[];
  /** What the AUROC within kinds groups answers by. */
  readonly kindsBy: 'kind' | 'set' | 'none';
  /** Rows whose `correct` is unknown; excluded when right and wrong answers are compared. */
  readonly unscored: number;
  readonly right: number;
  readonly wrong: number;
  /** How the file was read, and which values could not be used, as sentences. */
  readonly notes: readonly string[];
}

/** One number per answer. */
export type AnswerValue =
  | { readonly of: 'entropy'; readonly kind: TableEntropy; readonly pooling: Pooling }
  | { readonly of: 'logProb'; readonly pooling: Pooling }
  | { readonly of: 'length' };

/** Selects rows: all rows, the rows of some datasets or kinds, or the rows that pass the brushes. */
export interface Subset {
  readonly sets?: readonly string[];
  readonly kinds?: readonly string[];
  /** Only rows that pass this filter. */
  readonly filter?: FilterRequest;
}

export interface DistributionRequest {
  readonly value: AnswerValue;
  readonly subset?: Subset;
  /** In the value's unit; by default Scott's bandwidth of each class. */
  readonly bandwidth?: number;
  /** Multiple of Scott's bandwidth; not used with `bandwidth`. */
  readonly bandwidthFactor?: number;
  /** Grid points of the densities; 256 by default. */
  readonly points?: number;
  readonly bins?: number;
  /** Bootstrap resamples for the bands; 0 for no bands, 200 by default. */
  readonly resamples?: number;
  readonly seed?: number;
  /** Range of points and bins; by default, the range of the data plus room for the kernel. */
  readonly extent?: readonly [number, number];
}

export interface ByClass<T> {
  readonly right: T;
  readonly wrong: T;
}

/** Right and wrong answers' values on one axis. */
export interface Distribution {
  /** [points] */
  readonly grid: Float64Array;
  readonly densities: ByClass<ClassDensity>;
  /** Both histograms have the same bins. */
  readonly histograms: ByClass<Histogram>;
  /** Answers whose value is infinite: they are in neither the densities nor the bins. */
  readonly infinite: ByClass<{ readonly low: number; readonly high: number }>;
  /** Rows without a value or whose correctness is unknown. */
  readonly leftOut: number;
  readonly computeMs: number;
}

export interface ThresholdRequest {
  readonly value: AnswerValue;
  readonly subset?: Subset;
  readonly seed?: number;
}

/** Asks how many answers like this one were right. */
export interface LikeRequest {
  readonly value: AnswerValue;
  readonly subset?: Subset;
  /** This answer's value. */
  readonly at: number;
  /** Number of nearest answers; 200 by default. */
  readonly nearest?: number;
}

export interface AnswersLike extends NearestAnswers {
  /** The most common kinds of question among these answers, most common first; undefined if the table has no kinds. */
  readonly kinds: readonly KindCount[] | undefined;
}

export interface KindCount {
  readonly name: string;
  /** Number of these answers of this kind. */
  readonly n: number;
  /** Share of this kind among all answers that were considered. */
  readonly ofAll: number;
}

/** One of several linked charts that filter each other. */
export type FilterChart =
  | {
      readonly id: string;
      readonly value: AnswerValue;
      readonly bins: number;
      readonly extent?: readonly [number, number];
    }
  | { readonly id: string; readonly category: 'set' | 'kind' | 'variety' | 'correct' };

/**
 * What a chart's filter keeps: categories by name, or a range of values [from, to). A range that reaches an end of the
 * extent includes that end and all values beyond it, infinite ones too.
 */
export type FilterChoice = { readonly range: readonly [number, number] } | { readonly names: readonly string[] };

export interface FilterRequest {
  readonly charts: readonly FilterChart[];
  /** By chart id; a chart without a choice does not filter. */
  readonly choices: Readonly<Record<string, FilterChoice>>;
  /** Only rows whose question, answer or reference contains this text, ignoring case. */
  readonly search?: string;
}

/** Counts of one chart under all filters except its own. */
export interface ChartCounts {
  readonly id: string;
  /** [bins + 1] edges, or the categories' names. */
  readonly edges: Float64Array | undefined;
  readonly names: readonly string[] | undefined;
  /** Each [bins]. */
  readonly right: Uint32Array;
  readonly wrong: Uint32Array;
  readonly unscored: Uint32Array;
  /** Rows below the first edge and above the last; only infinite values are, unless the chart has an extent. */
  readonly below: ClassCounts;
  readonly above: ClassCounts;
  /** Rows without a value: they are in no bin, and the chart's own filter excludes them. */
  readonly leftOut: number;
}

export interface ClassCounts {
  readonly right: number;
  readonly wrong: number;
  readonly unscored: number;
}

export interface Filtered {
  readonly charts: readonly ChartCounts[];
  /** Rows that pass all filters. */
  readonly rows: number;
  readonly right: number;
  readonly wrong: number;
  readonly computeMs: number;
}

export type RowOrder =
  | { readonly by: AnswerValue | 'correct' | 'file'; readonly descending: boolean }
  | { readonly by: 'set' | 'kind' | 'variety' | 'question' | 'answer'; readonly descending: boolean };

/** Requests one page of the sorted rows; rows without a value come last. */
export interface RowsRequest {
  /** Only rows that pass this filter; all rows by default. */
  readonly filter?: FilterRequest;
  readonly order: RowOrder;
  readonly offset: number;
  readonly limit: number;
  /** Returned with each row. */
  readonly values: readonly AnswerValue[];
}

export interface CalibrationRow {
  /** Index in the file. */
  readonly row: number;
  readonly id: string;
  readonly set: string;
  readonly kind: string;
  readonly variety: string;
  readonly question: string;
  readonly answer: string;
  readonly reference: string;
  /** NaN if unknown. */
  readonly correct: number;
  readonly image: string | undefined;
  readonly thumbnail: number | undefined;
  readonly tokens: readonly string[];
  /** In the request's order. */
  readonly values: readonly number[];
}

export interface RowsPage {
  /** Number of rows over all pages. */
  readonly total: number;
  readonly rows: readonly CalibrationRow[];
}

interface PoolingRequest {
  readonly subset?: Subset;
  /** Bootstrap resamples per interval, 200 by default; with 0, the bounds are NaN. */
  readonly resamples?: number;
  readonly seed?: number;
}

/** How well a value separates right from wrong answers. */
export interface PoolingRow {
  readonly value: AnswerValue;
  readonly pooling: Pooling;
  readonly rightSide: RightSide;
  readonly auroc: AurocInterval;
}

/** Best first: by AUROC in the expected direction. */
export interface PoolingTable {
  readonly rows: readonly PoolingRow[];
  readonly leftOut: number;
}

export interface ThresholdReport {
  /** Undefined if there is no threshold; `why` gives the reason. */
  readonly figures: ThresholdFigures | undefined;
  readonly why: string | undefined;
  readonly auroc: AurocInterval | undefined;
  readonly leftOut: number;
}

export interface KindsRequest {
  readonly values: readonly AnswerValue[];
  readonly subset?: Subset;
  /** Bootstrap resamples per interval; 200 by default. */
  readonly resamples?: number;
  readonly seed?: number;
}

/** How well values separate right from wrong answers to the same kind of question. */
export type KindsReport =
  | { readonly by: 'none' }
  | {
      /** Whether kinds are kinds of question, or datasets because the table names no kinds. */
      readonly by: 'kind' | 'set';
      /** In the request's order; undefined if no kind has both right and wrong answers. */
      readonly within: readonly (GroupedAuroc | undefined)[];
      /** The AUROC that the kind alone has, rated on one half of the answers and checked on the other. */
      readonly alone: GroupedAuroc | undefined;
    };

/** Entropies of the tokens' maps: [tokens] each, in nats. */
export interface MapEntropies {
  readonly sum: Float64Array;
  readonly kde: Float64Array;
  readonly bernoulli: Float64Array;
}

/** The statistics of a loaded table, each with its request and response. */
export interface TableStatistics {
  distribution: { request: DistributionRequest; response: Distribution };
  threshold: { request: ThresholdRequest; response: ThresholdReport };
  kinds: { request: KindsRequest; response: KindsReport };
  poolings: { request: PoolingRequest; response: PoolingTable };
  like: { request: LikeRequest; response: AnswersLike };
  filter: { request: FilterRequest; response: Filtered };
  rows: { request: RowsRequest; response: RowsPage };
}

export type StatisticName = keyof TableStatistics;

/** The page's side of the statistics worker. Calls reject with a message for the user. */
export interface StatisticsClient {
  /** Transfers the bytes, so the caller must not use them afterwards. */
  load(file: CalibrationFile): Promise<LoadedCalibration>;
  close(table: number): void;
  /** Rejects all pending calls with `reason`, and loses all tables. Ends a call that would never end, too. */
  stop(reason: string): void;
  /**
   * A later call for the same statistic, table and `slot` supersedes the previous one, whose promise rejects with an
   * AbortError.
   */
  compute<Name extends StatisticName>(
    name: Name,
    table: number,
    request: TableStatistics[Name]['request'],
    slot?: string,
  ): Promise<TableStatistics[Name]['response']>;
  /** Computes the entropies of `maps`, which are probabilities [tokens, patches]; copies the array. */
  entropies(maps: Float32Array, tokens: number): Promise<MapEntropies>;
  destroy(): void;
}
